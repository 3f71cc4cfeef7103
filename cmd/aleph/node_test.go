package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/network/account"
)

// TestNode runs the scripts against a node of their own. They start it with
//
//	exec aleph node --listen $ADDRESS --data data &node&
//	ready
func TestNode(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/node",
		Setup: func(env *testscript.Env) error {
			env.Setenv("EXAMPLES", examples)
			env.Setenv("ALEPH_CACHE", os.Getenv("ALEPH_CACHE"))
			return setup(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "ready": ready, "capture": capture, "eventually": eventually, "unordered": unordered, "settings": settings,
		},
	})
}

// patience is how long a script waits for something before it fails.
const patience = time.Minute

// ready waits until the node at ALEPH_API_HOST answers.
func ready(ts *testscript.TestScript, _ bool, _ []string) {
	c, err := client.New(ts.Getenv("ALEPH_API_HOST"), nil)
	ts.Check(err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		_, err := c.Node(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("the node is not ready: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// capture NAME PATTERN sets a variable to the first group of a pattern in the standard output before.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: capture NAME PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	found := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("no match for %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// eventually PATTERN COMMAND… runs a command again until its standard output has the pattern.
func eventually(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN COMMAND [ARG…]")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no %s within %v (%v)", args[0], patience, err)
		}
	}
}

// unordered NAME FILE deploys a file with its PROGRAM message first: that one is pending until the STORE comes.
func unordered(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: unordered NAME FILE")
	}
	owner, err := account.Load(ts.Getenv, ts.Getenv("HOME"))
	ts.Check(err)
	c, err := client.New(ts.Getenv("ALEPH_API_HOST"), owner.Key())
	ts.Check(err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	file := []byte(ts.ReadFile(args[1]))
	now := network.UnixSeconds(time.Now())
	store, err := network.Sign(owner.Key(), network.TypeStore, network.Store{
		Address: owner.Address, ItemType: network.ItemStorage, ItemHash: network.HashContent(string(file)), Time: now,
	}, network.Options{})
	ts.Check(err)
	program, err := network.Sign(owner.Key(), network.TypeProgram, network.Program{
		Address: owner.Address, Time: now, Type: network.ProgramKind, AllowAmend: true, Metadata: map[string]any{"name": args[0], "team": "web"},
		On:        network.On{HTTP: true, Message: []map[string]any{{"channel": "TEST"}}},
		Resources: network.Resources{VCPUs: 2, Memory: 128, Seconds: 10}, Payment: &network.Payment{Chain: "ETH", Type: "hold"},
		Runtime: network.Runtime{Ref: "nodejs20", UseLatest: true}, Volumes: []json.RawMessage{}, Variables: map[string]string{},
		Code: network.Code{Encoding: "plain", Entrypoint: args[1], Ref: store.ItemHash, UseLatest: true},
	}, network.Options{})
	ts.Check(err)

	published := make(chan error, 1)
	go func() { published <- c.Publish(ctx, program) }()
	for !knows(ctx, c, program.ItemHash) {
		select {
		case err := <-published:
			ts.Fatalf("published before its code came: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	ts.Check(c.Upload(ctx, store, args[1], file))
	ts.Check(<-published)
}

// settings NAME prints the content of the PROGRAM message that is in force for this account's program.
func settings(ts *testscript.TestScript, _ bool, args []string) {
	c, err := client.New(ts.Getenv("ALEPH_API_HOST"), nil)
	ts.Check(err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	programs, err := c.Programs(ctx, "")
	ts.Check(err)
	for _, p := range programs {
		if len(args) != 1 || p.Name != args[0] {
			continue
		}
		content, err := c.Settings(ctx, &p)
		ts.Check(err)
		text, err := json.Marshal(content)
		ts.Check(err)
		_, err = fmt.Fprintf(ts.Stdout(), "%s\n", text)
		ts.Check(err)
		return
	}
	ts.Fatalf("usage: settings NAME")
}

// knows reports whether the node has a record of a message.
func knows(ctx context.Context, c *client.Client, hash string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Host()+"/api/v0/messages/"+hash, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
