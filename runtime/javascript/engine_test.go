package javascript

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/runtime/image"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A program is a folder of testdata: its files, and cases.json.
type program struct {
	Entrypoint string            // function.js if empty
	Env        map[string]string // its variables
	Memory     uint64            // its limit in bytes; 128 MiB if 0
	Load       *want             // what loading it answers, if that is an error
	Cases      []struct {
		Name  string
		Event struct {
			Method, Path, Query string
			Headers             [][2]string
			Body                *string
			BodyBase64          []byte
		}
		Want want
		Log  *[][2]string // level and text; a level that ends in ~ wants a beginning of the text
	}
	files map[string][]byte
}

// want is an answer, or an error; what is absent is not looked at.
type want struct {
	Status   int
	Headers  map[string]string // all of them; values of the same name joined by |
	Body     *string
	JSON     json.RawMessage
	Base64   []byte
	Differs  bool // from every other answer that says so
	Deadline bool // none ever comes

	Error   uint32
	Message *string
	Stack   string // a part of it
}

func readProgram(t *testing.T, folder string) *program {
	t.Helper()
	p := &program{Entrypoint: "function.js", Memory: 128 << 20, files: map[string][]byte{}}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(folder, path)
		if name == "cases.json" {
			return errors.Join(err, json.Unmarshal(content, p))
		}
		p.files[filepath.ToSlash(name)] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lab has the engine compiled and initialised.
type lab struct {
	engine   *wasm.Engine
	prepared *image.Prepared
	module   *wasm.Module
	base     *wasm.Image
	folder   string
}

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{folder: t.TempDir()}
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l.engine, err = wasm.NewEngine(wasm.Config{Slots: 8})
	must()
	t.Cleanup(func() {
		if err := l.engine.Close(); err != nil {
			t.Error(err)
		}
	})
	module, err := Module()
	must()
	l.prepared, err = image.Prepare(module)
	must()
	code, err := l.engine.Compile(l.prepared.Module)
	must()
	path := filepath.Join(l.folder, "code")
	err = os.WriteFile(path, code, 0o600)
	must()
	l.module, err = l.engine.Load(path)
	must()
	t.Cleanup(l.module.Close)
	initialised := filepath.Join(l.folder, "initialised")
	captured, err := image.Capture(l.engine, l.prepared, l.module, nil, initialised, []image.Step{
		{Export: "_initialize", Optional: true},
		{Export: "aleph_init", Takes: true, Event: abi.U32(abi.Frame(nil), abi.TagKind, abi.KindLoad)},
	}, image.Limits{Memory: 128 << 20, CPU: 10 * time.Second, Log: 1 << 20}, noError, nil)
	must()
	if captured.Changed {
		t.Fatal("initialising changes the engine's globals")
	}
	l.base = l.open(t, initialised, nil)
	return l
}

func (l *lab) open(t testing.TB, path string, base *wasm.Image) *wasm.Image {
	t.Helper()
	img, err := image.Open(l.engine, path, base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

// A failure is an error that the guest answered with.
type failure struct{ abi.Response }

func (f *failure) Error() string { return string(f.ErrorMessage) + "\n" + string(f.ErrorStack) }

func noError(_ int, frame []byte) error {
	if frame == nil { // _initialize and aleph_init have nothing to say
		return nil
	}
	reply, err := abi.ParseResponse(bytes.Clone(frame))
	if err == nil && reply.ErrorCode != 0 {
		return &failure{reply}
	}
	return err
}

// load makes the program's image. The error is a *failure if the program is at fault.
func (l *lab) load(t testing.TB, p *program) (*wasm.Image, error) {
	t.Helper()
	event := abi.U32(abi.Frame(nil), abi.TagKind, abi.KindLoad)
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		event = abi.Pair(event, abi.TagVariable, name, p.Env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		event = abi.Pair(event, abi.TagFile, name, p.files[name])
	}
	event = abi.Bytes(event, abi.TagEntrypoint, p.Entrypoint)
	event = abi.U64(event, abi.TagMemoryLimit, p.Memory)
	path := filepath.Join(l.folder, strings.ReplaceAll(t.Name(), "/", "-"))
	captured, err := image.Capture(l.engine, l.prepared, l.module, l.base, path,
		[]image.Step{{Export: "aleph_load", Takes: true, Event: event}}, image.Limits{Memory: p.Memory, CPU: 5 * time.Second, Log: 1 << 20}, noError, nil)
	if err != nil {
		return nil, err
	}
	if captured.Changed {
		t.Error("loading changes the engine's globals")
	}
	return l.open(t, path, l.base), nil
}

// A run is one event in a slot, with a store at hand.
type run struct {
	slot  *wasm.Slot
	store kv.Store
	log   [][2]string

	sleeps  []sleep
	changes chan change
	watches int
	ctx     context.Context
}

type sleep struct {
	ticket uint32
	until  time.Time
}

type change struct {
	ticket uint32
	kv.Change
}

var errDeadline = errors.New("the guest waits for nothing")

func (r *run) handle(m *wasm.Module, event []byte) (abi.Response, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.ctx, r.changes = ctx, make(chan change)
	status := r.slot.Start(m, "aleph_handle", event)
	for {
		r.slot.Logs(func(level int, text []byte) {
			r.log = append(r.log, [2]string{[]string{"debug", "info", "warning", "error"}[level], string(text)})
		})
		switch status {
		case wasm.Failed:
			return abi.Response{}, r.slot.Fault()
		case wasm.Done:
			frame, ok := r.slot.Response()
			if !ok {
				return abi.Response{}, errors.New("no answer")
			}
			return abi.ParseResponse(bytes.Clone(frame))
		case wasm.Waiting:
			r.slot.Started(r.perform)
			for !r.slot.Ready() {
				if err := r.wait(); err != nil {
					r.slot.Cancel()
					return abi.Response{}, err
				}
			}
		}
		status = r.slot.Resume()
	}
}

// wait completes the operation that ends next.
func (r *run) wait() error {
	r.sleeps = slices.DeleteFunc(r.sleeps, func(s sleep) bool { return !r.slot.Knows(s.ticket) })
	if r.watches == 0 && len(r.sleeps) == 0 {
		return errDeadline
	}
	var over <-chan time.Time
	if len(r.sleeps) > 0 {
		over = time.After(time.Until(r.sleeps[0].until)) // the engine keeps one at a time
	}
	select {
	case <-over:
		r.slot.Complete(r.sleeps[0].ticket, succeeded())
		r.sleeps = r.sleeps[1:]
	case c := <-r.changes:
		kind := uint32(c.Value.Kind)
		if c.Deleted {
			kind = abi.EntryKindDeleted
		}
		r.slot.Complete(c.ticket, abi.Entry(succeeded(), c.Key, kind, c.Value.Data))
		r.watches--
	}
	return nil
}

func succeeded() []byte { return abi.U32(abi.Frame(nil), abi.TagOpStatus, abi.OpOK) }

// perform does one operation on the store, as SPEC.md says.
func (r *run) perform(op wasm.Operation) {
	var key, cursor string
	var value, expected kv.Value
	var hasExpected bool
	var ttl, duration uint64
	var limit uint32
	var delta int64
	for q := abi.Read(op.Request); q.Next(); {
		switch q.Tag {
		case abi.TagKey:
			key = string(q.Value)
		case abi.TagCursor:
			cursor = string(q.Value)
		case abi.TagValue:
			value.Data = bytes.Clone(q.Value)
		case abi.TagValueKind:
			value.Kind = kv.Kind(q.U32())
		case abi.TagExpected:
			expected.Data, hasExpected = bytes.Clone(q.Value), true
		case abi.TagExpectedKind:
			expected.Kind = kv.Kind(q.U32())
		case abi.TagTTL:
			ttl = q.U64()
		case abi.TagLimit:
			limit = q.U32()
		case abi.TagDelta:
			delta = int64(q.U64())
		case abi.TagDuration:
			duration = q.U64()
		}
	}
	flag := func(b []byte, set bool) []byte { return abi.U32(b, abi.TagFlag, map[bool]uint32{true: 1}[set]) }
	result := succeeded()
	var err error
	switch op.Op {
	case abi.OpSleep:
		r.sleeps = append(r.sleeps, sleep{op.Ticket, time.Now().Add(time.Duration(duration))})
		return
	case abi.OpStoreWatch:
		w, failed := r.store.Watch(key)
		if err = failed; err == nil {
			r.watches++
			go func() {
				if c, err := w.Wait(r.ctx); err == nil {
					select {
					case r.changes <- change{op.Ticket, c}:
					case <-r.ctx.Done():
					}
				}
			}()
			return
		}
	case abi.OpStoreGet:
		got, found, failed := r.store.Get(key)
		if err = failed; found {
			result = abi.U32(abi.Bytes(result, abi.TagValue, got.Data), abi.TagValueKind, uint32(got.Kind))
		}
	case abi.OpStoreSet:
		err = r.store.Set(key, value, ttl)
	case abi.OpStoreDelete:
		existed, failed := r.store.Delete(key)
		result, err = flag(result, existed), failed
	case abi.OpStoreList:
		entries, next, failed := r.store.List(key, int(limit), cursor)
		for _, e := range entries {
			result = abi.Entry(result, e.Key, uint32(e.Value.Kind), e.Value.Data)
		}
		if err = failed; next != "" {
			result = abi.Bytes(result, abi.TagCursor, next)
		}
	case abi.OpStoreIncrement:
		n, failed := r.store.Increment(key, delta)
		result, err = abi.U64(result, abi.TagDelta, uint64(n)), failed
	case abi.OpStoreSwap:
		var old *kv.Value
		if hasExpected {
			old = &expected
		}
		set, failed := r.store.CompareAndSet(key, old, value, ttl)
		result, err = flag(result, set), failed
	}
	if err != nil {
		status := uint32(abi.OpUnavailable)
		for code, s := range map[kv.Code]uint32{kv.ErrInvalidArgument: abi.OpInvalidArgument, kv.ErrNotACounter: abi.OpNotACounter,
			kv.ErrQuotaExceeded: abi.OpQuotaExceeded, kv.ErrValueTooLarge: abi.OpValueTooLarge} {
			if errors.Is(err, code) {
				status = s
			}
		}
		result = abi.Bytes(abi.U32(abi.Frame(nil), abi.TagOpStatus, status), abi.TagOpMessage, err.Error())
	}
	r.slot.Complete(op.Ticket, result)
}

// event is a request's, but for what the case says.
func event() []byte {
	e := abi.U32(abi.Frame(nil), abi.TagKind, abi.KindHTTP)
	e = abi.Bytes(e, abi.TagRequestID, "request-1")
	e = abi.U32(e, abi.TagAttempt, 1)
	e = abi.Bytes(e, abi.TagProgram, strings.Repeat("a", 64))
	e = abi.Bytes(e, abi.TagNode, "node-1")
	e = abi.Bytes(e, abi.TagAccount, "0x"+strings.Repeat("1", 40))
	now := time.Now().UnixNano()
	e = abi.Bytes(e, abi.TagSeed, abi.U64(nil, uint32(now), uint64(now)*0x9e3779b97f4a7c15)[8:])
	return abi.U64(e, abi.TagTime, uint64(now))
}

func TestPrograms(t *testing.T) {
	l := newLab(t)
	db, err := kv.Open("", kv.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	folders, err := filepath.Glob("testdata/*")
	if err != nil || len(folders) == 0 {
		t.Fatal(folders, err)
	}
	seen := map[string]bool{}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			p := readProgram(t, folder)
			img, err := l.load(t, p)
			if p.Load != nil {
				var f *failure
				if !errors.As(err, &f) {
					t.Fatalf("loading: %v", err)
				}
				p.Load.compare(t, f.Response)
				return
			}
			if err != nil {
				t.Fatalf("loading: %v", err)
			}
			s := l.engine.Acquire()
			defer s.Release()
			if err := s.Map(img, p.Memory); err != nil {
				t.Fatal(err)
			}
			store := db.Store(filepath.Base(folder), kv.Quota{Bytes: 64 << 20, Keys: 10000})
			for _, c := range p.Cases {
				t.Run(c.Name, func(t *testing.T) {
					if c.Event.Method == "" {
						c.Event.Method = "GET"
					}
					if c.Event.Path == "" {
						c.Event.Path = "/"
					}
					e := abi.Bytes(event(), abi.TagMethod, c.Event.Method)
					e = abi.Bytes(e, abi.TagPath, c.Event.Path)
					e = abi.Bytes(e, abi.TagQuery, c.Event.Query)
					for _, h := range c.Event.Headers {
						e = abi.Pair(e, abi.TagHeader, h[0], h[1])
					}
					if c.Event.Body != nil {
						c.Event.BodyBase64 = []byte(*c.Event.Body)
					}
					if c.Event.BodyBase64 != nil {
						e = abi.Bytes(e, abi.TagBody, c.Event.BodyBase64)
					}
					s.SetLimits(20*time.Second, 1<<20)
					r := &run{slot: s, store: store}
					reply, err := r.handle(l.module, e)
					if c.Want.Deadline {
						if !errors.Is(err, errDeadline) {
							t.Errorf("%+v, %v; want none", reply, err)
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					c.Want.compare(t, reply)
					if c.Want.Differs && seen[string(reply.Body)] {
						t.Errorf("%s came twice", reply.Body)
					}
					seen[string(reply.Body)] = true
					if c.Log != nil {
						compareLog(t, r.log, *c.Log)
					}
				})
			}
		})
	}
}

func (w *want) compare(t *testing.T, reply abi.Response) {
	t.Helper()
	if reply.ErrorCode != w.Error {
		t.Fatalf("error %d: %s\n%s", reply.ErrorCode, reply.ErrorMessage, reply.ErrorStack)
	}
	if w.Error != 0 {
		if w.Message != nil && string(reply.ErrorMessage) != *w.Message {
			t.Errorf("message\n%s\nwant\n%s", reply.ErrorMessage, *w.Message)
		}
		if !bytes.Contains(reply.ErrorStack, []byte(w.Stack)) {
			t.Errorf("stack\n%s\nwant in it\n%s", reply.ErrorStack, w.Stack)
		}
		return
	}
	if reply.Status != w.Status {
		t.Errorf("status %d, want %d", reply.Status, w.Status)
	}
	headers := map[string]string{}
	for name, value := range reply.Headers {
		if before, twice := headers[string(name)]; twice {
			value = []byte(before + "|" + string(value))
		}
		headers[string(name)] = string(value)
	}
	if w.Headers != nil && !reflect.DeepEqual(headers, w.Headers) {
		t.Errorf("headers %v, want %v", headers, w.Headers)
	}
	if w.Body != nil && string(reply.Body) != *w.Body {
		t.Errorf("body\n%s\nwant\n%s", reply.Body, *w.Body)
	}
	if w.Base64 != nil && !bytes.Equal(reply.Body, w.Base64) {
		t.Errorf("body %x, want %x", reply.Body, w.Base64)
	}
	if w.JSON != nil {
		var got, want any
		if err := errors.Join(json.Unmarshal(reply.Body, &got), json.Unmarshal(w.JSON, &want)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("body\n%s\nwant\n%s\n%v", reply.Body, w.JSON, err)
		}
	}
}

func compareLog(t *testing.T, got, want [][2]string) {
	t.Helper()
	same := func(g, w [2]string) bool {
		level, begins := strings.CutSuffix(w[0], "~")
		return g[0] == level && (g[1] == w[1] || begins && strings.HasPrefix(g[1], w[1]))
	}
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("log\n%q\nwant\n%q", got, want)
	}
}

// What a request writes has to be restored after it: 100 ns and more a page.
func TestPagesWritten(t *testing.T) {
	l := newLab(t)
	for folder, most := range map[string]int{"hello": 12, "guide-context": 24, "guide-store": 30} {
		p := readProgram(t, "testdata/"+folder)
		img, err := l.load(t, p)
		if err != nil {
			t.Fatal(err)
		}
		s := l.engine.Acquire()
		if err := s.Map(img, p.Memory); err != nil {
			t.Fatal(err)
		}
		s.SetLimits(time.Second, 1<<20)
		db, err := kv.Open("", kv.Options{InMemory: true})
		if err != nil {
			t.Fatal(err)
		}
		r := &run{slot: s, store: db.Store("p", kv.Quota{Bytes: 1 << 20, Keys: 10})}
		e := abi.Pair(abi.Bytes(abi.Bytes(event(), abi.TagMethod, "GET"), abi.TagPath, "/"), abi.TagHeader, "host", "localhost")
		if _, err := r.handle(l.module, e); err != nil {
			t.Fatal(err)
		}
		written := pagesWritten(s.Memory(), img.Bytes())
		t.Logf("%s: %d pages", folder, written)
		if written > most {
			t.Errorf("%s writes %d pages, at most %d are expected", folder, written, most)
		}
		s.Release()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func pagesWritten(memory, img []byte) (n int) {
	zero := make([]byte, 4096)
	for at := 0; at < len(memory); at += 4096 {
		before := zero
		if at+4096 <= len(img) {
			before = img[at : at+4096]
		}
		if !bytes.Equal(memory[at:at+4096], before) {
			n++
		}
	}
	return n
}

// BenchmarkHandle is the guide's function in a fresh instance: restore, start, run, answer.
func BenchmarkHandle(b *testing.B) {
	l := newLab(b)
	hello, err := os.ReadFile("testdata/hello/function.js")
	if err != nil {
		b.Fatal(err)
	}
	img, err := l.load(b, &program{Entrypoint: "function.js", Memory: 128 << 20, files: map[string][]byte{"function.js": hello}})
	if err != nil {
		b.Fatal(err)
	}
	s := l.engine.Acquire()
	defer s.Release()
	if err := s.Map(img, 128<<20); err != nil {
		b.Fatal(err)
	}
	s.SetLimits(time.Hour, 1<<20)
	e := abi.Bytes(abi.Bytes(abi.Bytes(event(), abi.TagMethod, "GET"), abi.TagPath, "/"), abi.TagQuery, "name=Alice")
	for _, h := range [][2]string{{"host", "localhost:4020"}, {"user-agent", "curl/8.0"}, {"accept", "*/*"}} {
		e = abi.Pair(e, abi.TagHeader, h[0], h[1])
	}
	for b.Loop() {
		for status := s.Start(l.module, "aleph_handle", e); status != wasm.Done; status = s.Resume() {
			if status == wasm.Failed {
				b.Fatal(s.Fault())
			}
		}
	}
}
