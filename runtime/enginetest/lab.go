// Package enginetest runs a language engine's tests: folders of programs, with what they answer to which events. Each event has a
// store at hand, and timers, and a caller that takes a streamed reply; there is no network.
package enginetest

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/runtime/image"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// An Engine is what is tested.
type Engine struct {
	Name       string // in cases that are for one engine alone
	Version    string // of Module's bytes; machine code is kept under it
	Module     func() ([]byte, error)
	Init       func(add func(path string, content []byte)) // gives aleph_init its files; nil: there are none
	Entrypoint string                                      // of programs that name none
}

// A Lab is an engine made ready. It is the test's, and closed with it.
type Lab struct {
	engine *wasm.Engine
	base   *image.Base
	folder string
	Engine
}

// New makes an engine ready. Machine code and images are kept in the folder that the environment's ALEPH_CACHE names; without
// it they are the test's.
func New(t testing.TB, e Engine) *Lab {
	t.Helper()
	l := &Lab{folder: t.TempDir(), Engine: e}
	cache := os.Getenv("ALEPH_CACHE")
	if cache == "" {
		cache = filepath.Join(l.folder, "engines")
	}
	engine, err := wasm.NewEngine(wasm.Config{Slots: 8})
	if err != nil {
		t.Fatal(err)
	}
	l.engine = engine
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	event := abi.U32(abi.Frame(nil), abi.TagKind, abi.KindLoad)
	if e.Init != nil {
		e.Init(func(path string, content []byte) { event = abi.Pair(event, abi.TagFile, path, content) })
	}
	l.base, err = image.Ready(t.Context(), engine, cache, image.Recipe{
		Version: e.Version, Module: e.Module, Inspect: noError,
		Limits: image.Limits{Memory: 256 << 20, CPU: time.Minute, Log: 1 << 20},
		Steps: []image.Step{
			{Export: "_initialize", Optional: true},
			{Export: "aleph_init", Takes: true, Event: event},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.base.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// A Failure is an error that the guest answered with while it was loaded.
type Failure struct{ abi.Response }

func (f *Failure) Error() string { return string(f.ErrorMessage) + "\n" + string(f.ErrorStack) }

func noError(_ int, frame []byte) error {
	if frame == nil { // _initialize and aleph_init have nothing to say
		return nil
	}
	reply, err := abi.ParseResponse(bytes.Clone(frame))
	if err == nil && reply.ErrorCode != 0 {
		return &Failure{reply}
	}
	return err
}

// Load makes the program's image. The error is a *Failure if the program is at fault.
func (l *Lab) Load(t testing.TB, p *Program) (*wasm.Image, [][2]string, error) {
	t.Helper()
	event := abi.U32(abi.Frame(nil), abi.TagKind, abi.KindLoad)
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		event = abi.Pair(event, abi.TagVariable, name, p.Env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(p.Files)) {
		event = abi.Pair(event, abi.TagFile, name, p.Files[name])
	}
	event = abi.Bytes(event, abi.TagEntrypoint, p.Entrypoint)
	event = abi.U64(event, abi.TagMemoryLimit, p.Memory)
	path := filepath.Join(l.folder, strings.ReplaceAll(t.Name(), "/", "-"))
	var log [][2]string
	captured, err := image.Capture(l.engine, nil, l.base.Module, l.base.Image, path,
		[]image.Step{{Export: "aleph_load", Takes: true, Event: event}}, image.Limits{Memory: p.Memory, CPU: 10 * time.Second, Log: 1 << 20}, noError,
		func(level int, text []byte) { log = append(log, entry(level, text)) })
	if err != nil {
		return nil, log, err
	}
	if captured.Changed {
		t.Error("loading changes the engine's globals")
	}
	img, err := image.Open(l.engine, path, l.base.Image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img, log, nil
}

// slot gives a slot with the image, for the test.
func (l *Lab) slot(t testing.TB, img *wasm.Image, p *Program) *wasm.Slot {
	t.Helper()
	s := l.engine.Acquire()
	t.Cleanup(s.Release)
	if err := s.Map(img, p.Memory); err != nil {
		t.Fatal(err)
	}
	return s
}

// database is a database in memory, for the test.
func database(t testing.TB) *kv.DB {
	t.Helper()
	db, err := kv.Open("", kv.Options{InMemory: true})
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

// Request is an event frame, with the headers that a client sends.
func Request(path, query string) []byte {
	e := abi.Bytes(abi.Bytes(abi.Bytes(event(), abi.TagMethod, "GET"), abi.TagPath, path), abi.TagQuery, query)
	for _, h := range [][2]string{{"host", "localhost:4020"}, {"user-agent", "curl/8.0"}, {"accept", "*/*"}} {
		e = abi.Pair(e, abi.TagHeader, h[0], h[1])
	}
	return e
}

// event has what an event of any kind has.
func event() []byte {
	e := abi.Bytes(abi.Frame(nil), abi.TagRequestID, "request-1")
	e = abi.U32(e, abi.TagAttempt, 1)
	e = abi.Bytes(e, abi.TagProgram, strings.Repeat("a", 64))
	e = abi.Bytes(e, abi.TagNode, "node-1")
	e = abi.Bytes(e, abi.TagAccount, "0x"+strings.Repeat("1", 40))
	now := time.Now()
	e = abi.Bytes(e, abi.TagSeed, abi.U64(nil, uint32(now.UnixNano()), uint64(now.UnixNano())*0x9e3779b97f4a7c15)[8:])
	e = abi.U64(e, abi.TagDeadline, uint64(now.Add(time.Minute).UnixNano()))
	return abi.U64(e, abi.TagTime, uint64(now.UnixNano()))
}

// PagesWritten answers one event and counts the pages that differ from the image after it: each has to be restored, 100 ns and
// more.
func (l *Lab) PagesWritten(t testing.TB, p *Program) (n int) {
	t.Helper()
	img, _, err := l.Load(t, p)
	if err != nil {
		t.Fatal(err)
	}
	s := l.slot(t, img, p)
	s.SetLimits(time.Second, 1<<20)
	r := &run{slot: s, store: database(t).Store("p", kv.Quota{Bytes: 1 << 20, Keys: 10})}
	if _, err := r.handle(l.base.Module, Request("/", "")); err != nil {
		t.Fatal(err)
	}
	memory, before := s.Memory(), img.Bytes()
	zero := make([]byte, 4096)
	for at := 0; at < len(memory); at += 4096 {
		page := zero
		if at+4096 <= len(before) {
			page = before[at : at+4096]
		}
		if !bytes.Equal(memory[at:at+4096], page) {
			n++
		}
	}
	return n
}

// Benchmark answers the event in fresh instances: restore, start, run, answer. The program must not wait for anything.
func (l *Lab) Benchmark(b *testing.B, p *Program, event []byte) {
	img, _, err := l.Load(b, p)
	if err != nil {
		b.Fatal(err)
	}
	s := l.slot(b, img, p)
	s.SetLimits(time.Hour, 1<<20)
	for b.Loop() {
		for status := s.Start(l.base.Module, "aleph_handle", event); status != wasm.Done; status = s.Resume() {
			if status == wasm.Failed {
				b.Fatal(s.Fault())
			}
		}
	}
}
