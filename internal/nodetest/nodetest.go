// Package nodetest is a node in the process of a test, as its users see it: the tests of guests and SDKs deploy there and call.
package nodetest

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/node"
)

// A Site is a node in this process, and an account that deploys there.
type Site struct {
	testing.TB
	Base string // http://host:port
	Key  *ecdsa.PrivateKey
	API  *client.Client
}

// Start starts a node, which ends with the test. Programs may reach this machine.
func Start(t testing.TB) *Site {
	t.Helper()
	// Languages' machine code is kept where the other tests keep theirs: a node makes it ready, whatever it runs.
	cache := os.Getenv("ALEPH_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(user, "aleph-tests")
	}
	n, err := node.Open(node.Config{Listen: "127.0.0.1:0", Data: t.TempDir(), Cache: cache, Instances: 16, AllowEgress: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{TB: t, Base: "http://" + n.Address().String()}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- n.Serve(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		if err := <-stopped; err != nil {
			t.Errorf("the node ended with %v", err)
		}
	})
	if s.Key, err = crypto.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	if s.API, err = client.New(s.Base, s.Key); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.API.Close)
	return s
}

var clock atomic.Int64

// messageTime gives the times of messages: each is later than the one before.
func messageTime() float64 {
	for {
		last := clock.Load()
		next := max(time.Now().UnixMilli(), last+1)
		if clock.CompareAndSwap(last, next) {
			return float64(next) / 1000
		}
	}
}

// Deploy deploys the module in a file, which gets the variables, and gives its address.
func (s *Site) Deploy(path string, variables map[string]string) (string, error) {
	s.Helper()
	id, err := s.DeployIn("wasm", path, variables)
	return s.Base + "/api/v0/run/" + id, err
}

// DeployIn deploys a file as a program of the runtime, and gives its id.
func (s *Site) DeployIn(runtime, path string, variables map[string]string) (string, error) {
	s.Helper()
	code, err := os.ReadFile(path)
	if err != nil {
		s.Fatal(err)
	}
	address, file := network.Address(s.Key), filepath.Base(path)
	sign := func(kind network.Type, content any) *network.Message {
		m, err := network.Sign(s.Key, kind, content, network.Options{})
		if err != nil {
			s.Fatal(err)
		}
		return m
	}
	store := sign(network.TypeStore, network.Store{Address: address, ItemType: network.ItemStorage, ItemHash: network.HashContent(string(code)), Time: messageTime()})
	if err := s.API.Upload(s.Context(), store, file, code); err != nil {
		return "", err
	}
	program := sign(network.TypeProgram, network.Program{
		Address: address, Time: messageTime(), Type: network.ProgramKind, AllowAmend: true, Metadata: map[string]any{"name": file},
		On: network.On{HTTP: true}, Environment: network.Environment{Internet: true}, Resources: network.Resources{VCPUs: 1, Memory: 32, Seconds: 30},
		Runtime: network.Runtime{Ref: runtime, UseLatest: true}, Volumes: []json.RawMessage{}, Variables: variables,
		Code: network.Code{Encoding: "plain", Entrypoint: file, Ref: store.ItemHash, UseLatest: true},
	})
	return program.ItemHash, s.API.Publish(s.Context(), program)
}

// MustDeploy is Deploy of what is taken.
func (s *Site) MustDeploy(path string, variables map[string]string) string {
	s.Helper()
	url, err := s.Deploy(path, variables)
	if err != nil {
		s.Fatalf("%s: %v", path, err)
	}
	return url
}

// An Answer is a whole answer; Err is what ended its body early.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	Err    error
}

// Call sends a request; one with a body is a POST. header has names and values in turn.
func (s *Site) Call(url string, body io.Reader, header ...string) Answer {
	s.Helper()
	method := "GET"
	if body != nil {
		method = "POST"
	}
	r, err := http.NewRequestWithContext(s.Context(), method, url, body)
	if err != nil {
		s.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Header, string(text), err}
}

// Want calls and checks the answer.
func (s *Site) Want(url string, status int, body string) {
	s.Helper()
	if a := s.Call(url, nil); a.Status != status || a.Body != body || a.Err != nil {
		s.Errorf("%s: got %d %q, %v\nwant %d %q", url, a.Status, a.Body, a.Err, status, body)
	}
}

// Refusal is the error with which a node refused a deploy.
func Refusal(err error) string {
	var rejected *network.Rejection
	var refused *client.Error
	switch {
	case errors.As(err, &rejected):
		return string(rejected.Code) + ": " + rejected.Message
	case errors.As(err, &refused):
		return refused.Code + ": " + refused.Message
	}
	return ""
}
