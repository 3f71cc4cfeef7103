package message

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"go.uber.org/goleak"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// TestMain is also the program that TestKilled kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		childMain(dir)
	}
	goleak.VerifyTestMain(m, // what fasthttp leaves to end by itself some seconds after a server
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// noPrograms: the messages of these tests deploy none.
type noPrograms struct{ network.ProgramHandler }

// world is a trigger and what it stands on. The events stay in the queue, unless run is set.
type world struct {
	t       testing.TB
	db      *kv.DB
	queue   *queue.Queue
	network *network.Node
	trigger *Trigger
	key     *ecdsa.PrivateKey
	folder  string
	options queue.Options
	behind  uint64
	now     time.Time

	mu  sync.Mutex
	run func(*queue.Delivery) queue.Outcome // nil: the program is paused
}

func (w *world) Run(_ context.Context, d *queue.Delivery) queue.Outcome {
	w.mu.Lock()
	run := w.run
	w.mu.Unlock()
	return run(d)
}

func newWorld(t testing.TB, db *kv.DB, options queue.Options) *world {
	t.Helper()
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, key: key, folder: t.TempDir(), options: options, now: time.Unix(1_800_000_000, 0)}
	w.options.Handler = w
	w.open()
	t.Cleanup(w.close)
	return w
}

func openDB(t testing.TB, dir string) *kv.DB {
	t.Helper()
	db, err := kv.Open(dir, kv.Options{InMemory: dir == ""})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.network, err = network.Open(w.db, w.folder, network.NodeOptions{Programs: noPrograms{}}); err != nil {
		w.t.Fatal(err)
	}
	if w.queue, err = queue.Open(w.db, w.options); err != nil {
		w.t.Fatal(err)
	}
	if w.trigger, err = Open(Config{DB: w.db, Queue: w.queue, Network: w.network, Behind: w.behind, Now: func() time.Time { return w.now }}); err != nil {
		w.t.Fatal(err)
	}
	w.trigger.trimAt = trimAt
}

func (w *world) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.queue.Close(ctx)
	w.network.Close()
}

// trimAt is trimAtOnce in these tests.
const trimAt = 512

// restart opens everything but the database again, with the same declarations.
func (w *world) restart(declared map[string]*triggers.Declaration) {
	w.t.Helper()
	w.close()
	w.open()
	for program, d := range declared {
		if err := w.trigger.Set(program, w.now, d); err != nil {
			w.t.Fatal(err)
		}
	}
}

// set declares filters of a program whose events stay in the queue.
func (w *world) set(program string, filters ...map[string]any) *triggers.Declaration {
	w.t.Helper()
	d := declare(filters...)
	w.declare(program, d)
	return d
}

func (w *world) declare(program string, d *triggers.Declaration) {
	w.t.Helper()
	if err := Check(d); err != nil {
		w.t.Fatal(err)
	}
	if w.run == nil {
		if err := w.queue.Pause(program); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.trigger.Set(program, w.now, d); err != nil {
		w.t.Fatal(err)
	}
}

func declare(filters ...map[string]any) *triggers.Declaration {
	d := new(triggers.Declaration)
	for i, f := range filters {
		d.Messages = append(d.Messages, triggers.Message{Name: fmt.Sprintf("message-%d", i+1), Filter: f})
	}
	return d
}

// sign makes a POST; content is its content.content.
func (w *world) sign(channel, postType string, content any) *network.Message {
	w.t.Helper()
	m, err := network.Sign(w.key, network.TypePost, map[string]any{"address": network.Address(w.key), "time": 1700000000, "type": postType, "content": content},
		network.Options{Channel: channel})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// post posts a message with the node.
func (w *world) post(channel, postType string, content any) *network.Message {
	w.t.Helper()
	m := w.sign(channel, postType, content)
	w.accept(m, 0)
	return m
}

func (w *world) accept(m *network.Message, depth uint32) {
	w.t.Helper()
	if status, err := w.network.AcceptAt(context.Background(), m, depth); status != network.StatusProcessed || err != nil {
		w.t.Fatalf("%s, %v", status, err)
	}
}

// follow makes steps until there is nothing to do.
func (w *world) follow() {
	w.t.Helper()
	for range 1_000_000 {
		wait, err := w.trigger.step()
		if err != nil {
			w.t.Fatal(err)
		}
		if wait > 0 {
			return
		}
	}
	w.t.Fatal("the follower never rests")
}

// queued are the ids of a program's events, in order.
func (w *world) queued(program string) (ids []string) {
	w.t.Helper()
	list, err := w.queue.List(program, queue.Pending, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range list {
		ids = append(ids, e.ID)
	}
	return ids
}

// want checks which messages a program has got, in order.
func (w *world) want(program string, messages ...*network.Message) {
	w.t.Helper()
	ids := w.queued(program)
	var want []string
	for _, m := range messages {
		want = append(want, eventID(m.ItemHash))
	}
	if fmt.Sprint(ids) != fmt.Sprint(want) {
		w.t.Errorf("%s has %d events, want %d:\n%v\n%v", program, len(ids), len(want), ids, want)
	}
}

// status is the state of a program's first trigger.
func (w *world) status(program string) triggers.Status {
	w.t.Helper()
	list := w.trigger.List(program)
	if len(list) == 0 {
		w.t.Fatalf("%s has no triggers", program)
	}
	return list[0]
}

// until waits for done.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	for begun := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			w.t.Fatalf("%s: not within 30 s", what)
		}
	}
}
