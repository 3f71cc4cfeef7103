package network

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/aleph-edge/aleph-edge/kv"
)

// The test binary starts itself with these to be killed at a given moment.
const (
	killedEnvironment   = "NETWORK_TEST_KILLED_FOLDER"
	killedAtEnvironment = "NETWORK_TEST_KILLED_AT"
)

// killedMessages are the STORE and PROGRAM that the killed process works on. They are the same in every process.
func killedMessages() (store, program *Message) {
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		panic(err)
	}
	sign := func(messageType Type, content any) *Message {
		message, err := Sign(key, messageType, content, Options{})
		if err != nil {
			panic(err)
		}
		return message
	}
	store = sign(TypeStore, &Store{Address: Address(key), ItemType: ItemStorage, ItemHash: HashContent("code"), Time: 1})
	program = sign(TypeProgram, &Program{
		Address: Address(key), Time: 1, Type: ProgramKind, Resources: Resources{1, 128, 10}, Runtime: Runtime{Ref: "nodejs16"},
		Code: Code{Encoding: "plain", Entrypoint: "handler", Ref: store.ItemHash},
	})
	return store, program
}

// stopping is a shelf whose builds, or commits, say that they are reached and then wait to be killed.
type stopping struct {
	*shelf
	at string
}

func (s *stopping) Prepare(ctx context.Context, d Deployment) (Change, error) {
	change, err := s.shelf.Prepare(ctx, d)
	if s.at == "build" {
		waitToBeKilled()
	}
	return &stoppingChange{change, s.at}, err
}

type stoppingChange struct {
	Change
	at string
}

func (c *stoppingChange) Commit(tx *kv.Txn) error {
	if err := c.Change.Commit(tx); err != nil {
		return err
	}
	if c.at == "commit" {
		waitToBeKilled()
	}
	return nil
}

func (c *stoppingChange) Applied() {
	if c.at == "applied" {
		waitToBeKilled()
	}
	c.Change.Applied()
}

func waitToBeKilled() {
	fmt.Println("reached")
	io.Copy(io.Discard, os.Stdin) // ends with the parent
	os.Exit(1)
}

// runKilled deploys a program in this process until the moment at which it is killed.
func runKilled(folder, at string) {
	must := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	db, err := kv.Open(filepath.Join(folder, "db"), kv.Options{})
	must(err)
	node, err := Open(db, folder, NodeOptions{Programs: &stopping{newShelf(db), at}})
	must(err)
	_, err = node.Upload([]byte("code"))
	must(err)
	if at == "upload" {
		waitToBeKilled()
	}
	store, program := killedMessages()
	_, err = node.Accept(context.Background(), store)
	must(err)
	_, err = node.Accept(context.Background(), program)
	must(err)
}

// TestKilled kills a process with SIGKILL while it deploys. What is there afterwards is whole, and the deploy can be
// finished by posting it again.
func TestKilled(t *testing.T) {
	for at, want := range map[string]struct{ store, program bool }{
		"upload":  {false, false}, // the file is there, its message is not
		"build":   {true, false},
		"commit":  {true, false}, // everything is written, nothing is committed
		"applied": {true, true},
	} {
		t.Run(at, func(t *testing.T) {
			folder := t.TempDir()
			command := exec.Command(os.Args[0])
			command.Env = append(os.Environ(), killedEnvironment+"="+folder, killedAtEnvironment+"="+at)
			stdin, err := command.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			stdout, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil || line != "reached\n" {
				t.Fatalf("%q, %v", line, err)
			}
			if err := command.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = command.Wait() // an error: it was killed

			db, err := kv.Open(filepath.Join(folder, "db"), kv.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			shelf := newShelf(db)
			node, err := Open(db, folder, NodeOptions{Programs: shelf})
			if err != nil {
				t.Fatal(err)
			}
			defer node.Close()
			store, program := killedMessages()
			_, storeFound, err := node.Lookup(store.ItemHash)
			if err != nil {
				t.Fatal(err)
			}
			_, programFound, err := node.Lookup(program.ItemHash)
			if err != nil {
				t.Fatal(err)
			}
			if storeFound != want.store || programFound != want.program {
				t.Errorf("STORE %v, PROGRAM %v; want %+v", storeFound, programFound, want)
			}
			if (shelf.stored(t, program.ItemHash) != nil) != want.program {
				t.Error("the program's record and its message's do not agree")
			}
			files, err := os.ReadDir(filepath.Join(folder, "blobs"))
			if err != nil {
				t.Fatal(err)
			}
			if (len(files) == 1) != want.store {
				t.Errorf("%d files", len(files))
			}

			if _, err := node.Upload([]byte("code")); err != nil {
				t.Fatal(err)
			}
			for _, message := range []*Message{store, program} {
				if status, err := node.Accept(context.Background(), message); status != StatusProcessed || err != nil {
					t.Errorf("posted again: %s, %v", status, err)
				}
			}
			if shelf.stored(t, program.ItemHash) == nil {
				t.Error("the program is not stored")
			}
		})
	}
}
