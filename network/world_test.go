package network

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

// shelf is a ProgramHandler that keeps, for each program, the list of its deployments: in the database, and in memory
// those in force.
type shelf struct {
	db *kv.DB

	build func(ctx context.Context, d Deployment) error // called by Prepare; nil builds everything
	other bool                                          // there are runtimes beside the handler's own

	mu       sync.Mutex
	building map[string]bool
	inForce  map[string][]Deployment
	dropped  int
}

func newShelf(db *kv.DB) *shelf {
	return &shelf{db: db, building: map[string]bool{}, inForce: map[string][]Deployment{}}
}

func (s *shelf) Prepare(ctx context.Context, d Deployment) (Change, error) {
	s.mu.Lock()
	overlap := s.building[d.Program]
	s.building[d.Program] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.building, d.Program)
	}()
	if overlap {
		return nil, fmt.Errorf("two builds of %s at once", d.Program)
	}
	code, err := os.ReadFile(d.CodePath)
	if err != nil {
		return nil, err
	}
	if HashContent(string(code)) != d.CodeHash {
		return nil, fmt.Errorf("code of %s has another hash", d.Program)
	}
	if s.build != nil {
		if err := s.build(ctx, d); err != nil {
			return nil, err
		}
	}
	return &shelfChange{s, d.Program, &d}, nil
}

func (s *shelf) Runs(runtime string) bool { return !s.other || !IsStorageHash(runtime) }

func (s *shelf) Remove(_ context.Context, program string) (Change, error) {
	return &shelfChange{s, program, nil}, nil
}

type shelfChange struct {
	shelf   *shelf
	program string
	to      *Deployment // nil to remove the program
}

func (c *shelfChange) Commit(tx *kv.Txn) error {
	if c.to == nil {
		return tx.Delete("programs/" + c.program)
	}
	return save(tx, "programs/"+c.program, c.to)
}

func (c *shelfChange) Applied() {
	c.shelf.mu.Lock()
	defer c.shelf.mu.Unlock()
	if c.to == nil {
		delete(c.shelf.inForce, c.program)
	} else {
		c.shelf.inForce[c.program] = append(c.shelf.inForce[c.program], *c.to)
	}
}

func (c *shelfChange) Dropped() {
	c.shelf.mu.Lock()
	defer c.shelf.mu.Unlock()
	c.shelf.dropped++
}

// deployments are those of a program that came in force, in order.
func (s *shelf) deployments(program string) []Deployment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.inForce[program])
}

// stored is the program's deployment in the database; nil if there is none.
func (s *shelf) stored(t *testing.T, program string) *Deployment {
	t.Helper()
	var d *Deployment
	err := s.db.View(func(tx *kv.Txn) (err error) {
		d, _, err = load[Deployment](tx, "programs/"+program)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// worldTime is the clock of the nodes and messages in these tests: just after the captures.
var worldTime = time.Unix(1795338471, 0)

// world is a node and an account that deploys to it.
type world struct {
	t      *testing.T
	db     *kv.DB
	folder string
	node   *Node
	shelf  *shelf
	key    *ecdsa.PrivateKey
	clock  float64 // of contents: every message is later than the one before
}

func newWorld(t *testing.T, options NodeOptions) *world {
	t.Helper()
	_, key := readVector(t)
	db := openDB(t)
	w := &world{t: t, db: db, folder: t.TempDir(), key: key, shelf: newShelf(db), clock: 1700000000}
	w.open(options)
	t.Cleanup(func() { w.node.Close() })
	return w
}

func (w *world) open(options NodeOptions) {
	w.t.Helper()
	options.Programs = w.shelf
	var ticks atomic.Int64 // so that no two messages come at the same time
	options.Now = func() time.Time { return worldTime.Add(time.Duration(ticks.Add(1))) }
	node, err := Open(w.db, w.folder, options)
	if err != nil {
		w.t.Fatal(err)
	}
	w.node = node
}

// sign makes a message of the account.
func (w *world) sign(messageType Type, content any) *Message {
	w.t.Helper()
	return signWith(w.t, w.key, messageType, content)
}

func signWith(t *testing.T, key *ecdsa.PrivateKey, messageType Type, content any) *Message {
	t.Helper()
	message, err := Sign(key, messageType, content, Options{Channel: "TEST", Time: worldTime})
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func (w *world) now() float64 {
	w.clock++
	return w.clock
}

// accept posts a message and wants a status.
func (w *world) accept(message *Message, want Status) {
	w.t.Helper()
	status, err := w.node.Accept(context.Background(), message)
	if status != want || err != nil {
		w.t.Fatalf("%s %s: %s, %v; want %s", message.Type, message.ItemContent, status, err, want)
	}
	w.wantStatus(message.ItemHash, want)
}

// refuse posts a message and wants a rejection.
func (w *world) refuse(message *Message, code, field string) {
	w.t.Helper()
	status, err := w.node.Accept(context.Background(), message)
	if status != StatusRejected {
		w.t.Fatalf("%s: %s, %v; want a rejection %s", message.ItemContent, status, err, code)
	}
	wantRejection(w.t, err, code, field)
}

func (w *world) wantStatus(hash string, want Status) *Record {
	w.t.Helper()
	record, found, err := w.node.Lookup(hash)
	if err != nil || !found || record.Status != want {
		w.t.Fatalf("%s is %+v, %v; want %s", hash, record, err, want)
	}
	return record
}

// eventually waits for what happens in the background.
func (w *world) eventually(what string, happened func() bool) {
	w.t.Helper()
	for range 2000 {
		if happened() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.t.Fatalf("never: %s", what)
}

func (w *world) hasStatus(hash string, status Status) func() bool {
	return func() bool {
		record, found, err := w.node.Lookup(hash)
		return err == nil && found && record.Status == status
	}
}

// code uploads a file and gives the STORE of it.
func (w *world) code(content, ref string) *Message {
	w.t.Helper()
	hash, err := w.node.Upload([]byte(content))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.storeOf(hash, ref)
}

func (w *world) storeOf(hash, ref string) *Message {
	return w.sign(TypeStore, &Store{Address: Address(w.key), ItemType: ItemStorage, ItemHash: hash, Time: w.now(), Ref: ref})
}

func (w *world) program(codeRef, replaces string, change func(*Program)) *Message {
	content := &Program{
		Address: Address(w.key), Time: w.now(), Type: ProgramKind, AllowAmend: true, Metadata: map[string]any{"name": "hello"},
		On: On{HTTP: true}, Resources: Resources{1, 128, 10}, Runtime: Runtime{Ref: "nodejs16"}, Replaces: replaces,
		Code: Code{Encoding: "plain", Entrypoint: "handler", Ref: codeRef, UseLatest: true},
	}
	if change != nil {
		change(content)
	}
	return w.sign(TypeProgram, content)
}

func (w *world) forget(hashes ...string) *Message {
	return w.sign(TypeForget, &Forget{Address: Address(w.key), Time: w.now(), Hashes: hashes})
}

// deploy puts a new program in force and returns its STORE and PROGRAM.
func (w *world) deploy(code string) (store, program *Message) {
	w.t.Helper()
	store = w.code(code, "")
	w.accept(store, StatusProcessed)
	program = w.program(store.ItemHash, "", nil)
	w.accept(program, StatusProcessed)
	return store, program
}
