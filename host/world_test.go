package host

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/egress"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/logs"
	"github.com/aleph-edge/aleph-edge/programs"
	"github.com/aleph-edge/aleph-edge/runtime/pool"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
	"github.com/aleph-edge/aleph-edge/usage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a dispatcher over real parts, without a network and HTTP.
type world struct {
	testing.TB
	folder     string
	db         *kv.DB
	logs       *logs.Logs
	meter      *usage.Meter
	pool       *pool.Pool
	registry   *programs.Registry
	dispatcher *Dispatcher
}

func newWorld(t testing.TB, slots int) *world {
	t.Helper()
	return newWorldWith(t, slots, egress.Config{})
}

func newWorldWith(t testing.TB, slots int, outside egress.Config) *world {
	t.Helper()
	w := &world{TB: t, folder: t.TempDir()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.db, err = kv.Open(filepath.Join(w.folder, "db"), kv.Options{})
	must(err)
	w.logs, err = logs.Open(filepath.Join(w.folder, "logs"), logs.Options{})
	must(err)
	w.meter, err = usage.Open(w.db, usage.Options{})
	must(err)
	engine, err := wasm.NewEngine(wasm.Config{Slots: slots})
	must(err)
	w.pool = pool.New(engine, pool.Config{Procs: 2})
	client := egress.New(outside)
	w.dispatcher = New(Config{NodeID: "node", Egress: client, Meter: w.meter, Logs: w.logs, Log: slog.New(slog.DiscardHandler),
		Stores: func(program string) kv.Store { return w.db.Store(program, kv.Quota{}) }})
	w.registry, err = programs.Open(programs.Config{DB: w.db, Engine: engine, Pool: w.pool, Folder: filepath.Join(w.folder, "images"),
		CodePath: func(hash string) string { return filepath.Join(w.folder, hash) },
		Attach:   w.dispatcher.Attach, Removed: func(string) {}})
	must(err)
	t.Cleanup(func() {
		w.dispatcher.Close()
		client.Close()
		err := w.registry.Close(time.Minute)
		w.pool.Close()
		if err := errors.Join(err, engine.Close(), w.meter.Close(), w.logs.Close(), w.db.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// deploy deploys a module given as text.
func (w *world) deploy(id, text string) *programs.Program {
	w.Helper()
	return w.deployVersion(id, text, programs.Version{Memory: 16})
}

// deployVersion deploys one with what the version says of memory (MiB) and network.
func (w *world) deployVersion(id, text string, v programs.Version) *programs.Program {
	w.Helper()
	code, err := wasm.WAT(text)
	if err != nil {
		w.Fatal(err)
	}
	v.Encoding, v.Entrypoint = "plain", "f.wasm"
	p, err := w.deployCode(id, code, v)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// deployCode deploys what the version says how to read.
func (w *world) deployCode(id string, code []byte, v programs.Version) (*programs.Program, error) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.folder, id+"-code"), code, 0o600); err != nil {
		w.Fatal(err)
	}
	v.CodeRef, v.CodeHash, v.Runtime, v.Timeout, v.Created = "code", id+"-code", "wasm", 10, time.Now()
	change, err := w.registry.Prepare(context.Background(), programs.Deployment{ID: id, Name: id, Owner: "0x01", Version: v})
	if err != nil {
		return nil, err
	}
	if err := w.db.Update(change.Commit); err != nil {
		w.Fatal(err)
	}
	change.Applied()
	return w.registry.Lookup(id), nil
}

// run runs an event with a body and gives the reply's.
func (w *world) run(p *programs.Program, body string) (string, *Error) {
	w.Helper()
	inv, failed := w.dispatcher.Begin(context.Background(), p, abi.KindHTTP, 1, nil)
	if failed != nil {
		return "", failed
	}
	defer inv.End()
	inv.Event = abi.Bytes(inv.Event, abi.TagBody, body)
	reply, failed := inv.Run()
	if failed != nil {
		return "", failed
	}
	return string(reply.Body), nil
}

// records are the program's last, oldest first.
func (w *world) records(id string) []usage.Record {
	w.Helper()
	account, err := w.meter.Program(id)
	if err != nil {
		w.Fatal(err)
	}
	return account.Records(100)
}
