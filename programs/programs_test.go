package programs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/runtime/javascript"
	"github.com/aleph-edge/aleph-edge/runtime/pool"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// world is a registry over real parts, without a network.
type world struct {
	t        testing.TB
	folder   string
	db       *kv.DB
	engine   *wasm.Engine
	pool     *pool.Pool
	registry *Registry
	told     []Preparation
	removed  []string
}

func newWorld(t testing.TB, folder string) *world {
	t.Helper()
	return newWorldWith(t, folder, Config{})
}

// newWorldWith is newWorld with what config says beyond the parts.
func newWorldWith(t testing.TB, folder string, config Config) *world {
	t.Helper()
	w := &world{t: t, folder: folder}
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.db, err = kv.Open(filepath.Join(folder, "db"), kv.Options{})
	must()
	w.engine, err = wasm.NewEngine(wasm.Config{Slots: 64})
	must()
	w.pool = pool.New(w.engine, pool.Config{Procs: 2})
	config.DB, config.Engine, config.Pool = w.db, w.engine, w.pool
	config.Folder = filepath.Join(folder, "images")
	if config.Engines == "" {
		config.Engines = filepath.Join(folder, "engines")
	}
	config.CodePath = func(hash string) string { return filepath.Join(folder, hash) }
	if config.Languages == nil {
		config.Languages = []Language{{Name: "javascript", Runtimes: javascript.Runtimes(), Version: javascript.Version(), Module: javascript.Module}}
	}
	config.Attach = func(*Program, *Version) (any, error) { return nil, nil }
	config.Removed = func(id string) { w.removed = append(w.removed, id) }
	config.Preparing = func(p Preparation) { w.told = append(w.told, p) }
	w.registry, err = Open(config)
	must()
	return w
}

func (w *world) close() {
	w.t.Helper()
	err := w.registry.Close(time.Minute)
	w.pool.Close()
	if err := errors.Join(err, w.engine.Close(), w.db.Close()); err != nil {
		w.t.Error(err)
	}
}

// deployment is a JavaScript program with that code.
func (w *world) deployment(id, code string) Deployment {
	sum := sha256.Sum256([]byte(code))
	hash := hex.EncodeToString(sum[:])
	if err := os.WriteFile(filepath.Join(w.folder, hash), []byte(code), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return Deployment{ID: id, Name: id, Owner: "0xowner", Version: Version{CodeHash: hash, CodeRef: "ref-" + hash, Encoding: "plain",
		Entrypoint: "function.js", Runtime: "nodejs16", Memory: 128, Timeout: 10, Created: time.Now()}}
}

func (w *world) deploy(d Deployment) error {
	c, err := w.registry.Prepare(context.Background(), d)
	if err != nil {
		return err
	}
	if err := w.db.Update(c.Commit); err != nil {
		c.Dropped()
		return err
	}
	c.Applied()
	return nil
}

// call runs the program on a request with that query.
func (w *world) call(id, query string) string {
	w.t.Helper()
	s, err := w.registry.Lookup(id).Serving(context.Background())
	if err != nil {
		return err.Error()
	}
	i, err := s.Guest.Acquire()
	if err != nil {
		return err.Error()
	}
	defer i.Release()
	status, err := i.Start(context.Background(), event(query))
	for err == nil && status == wasm.Yielded {
		status, err = i.Resume(context.Background())
	}
	if err != nil || status != wasm.Done {
		return i.Fault().Message
	}
	frame, _ := i.Response()
	reply, err := abi.ParseResponse(frame)
	if err != nil {
		return err.Error()
	}
	return string(reply.Body) + string(reply.ErrorMessage)
}

func event(query string) []byte {
	e := abi.U32(abi.Frame(nil), abi.TagKind, abi.KindHTTP)
	e = abi.Bytes(e, abi.TagRequestID, "0123456789abcdef0123456789abcdef")
	e = abi.Bytes(e, abi.TagSeed, "0123456789abcdef")
	e = abi.Bytes(e, abi.TagMethod, "GET")
	e = abi.Bytes(e, abi.TagPath, "/")
	e = abi.Bytes(e, abi.TagQuery, query)
	e = abi.Pair(e, abi.TagHeader, "host", "127.0.0.1:4020")
	e = abi.Pair(e, abi.TagHeader, "user-agent", "test")
	return abi.Bytes(e, abi.TagBody, "")
}

const hello = `export default function(req) {
  const name = req.query.name || 'World';
  return { message: ` + "`Hello, ${name}!`" + ` };
}`

func TestHello(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.close()
	if err := w.deploy(w.deployment("p", hello)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := w.call("p", "name=Alice"); got != `{"message":"Hello, Alice!"}` {
			t.Error(got)
		}
	}
}

func BenchmarkHello(b *testing.B) {
	w := newWorld(b, b.TempDir())
	defer w.close()
	if err := w.deploy(w.deployment("p", hello)); err != nil {
		b.Fatal(err)
	}
	s, err := w.registry.Lookup("p").Serving(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	e := event("name=Alice")
	b.ReportAllocs()
	var pages int
	for b.Loop() {
		i, err := s.Guest.Acquire()
		if err != nil {
			b.Fatal(err)
		}
		status, err := i.Start(context.Background(), e)
		for err == nil && status == wasm.Yielded {
			status, err = i.Resume(context.Background())
		}
		if status != wasm.Done {
			b.Fatal(err, i.Fault())
		}
		pages = i.DirtyPages()
		i.Release()
	}
	b.ReportMetric(float64(pages), "pages")
}

var _ = strings.Contains
