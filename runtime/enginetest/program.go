package enginetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
)

// A Program is a folder of testdata: its files, and cases.json, which has the rest.
type Program struct {
	Entrypoint string            // the engine's if empty, none if "-"
	Env        map[string]string // its variables
	Memory     uint64            // its limit in bytes; 128 MiB if 0
	Load       *want             // what loading it answers, if that is an error
	LoadLog    *[][2]string      // what it logs while it is loaded
	Cases      []struct {
		Name   string
		Engine string // the one that it is for, if not for all
		Event  struct {
			Kind                uint32
			Method, Path, Query string
			Root, Client        string
			Headers             [][2]string
			Body                *string
			BodyBase64          []byte
			Chunks              []string // a body that follows the event
			ID                  string   // the event's, if it is not the request's
			Details             [][2]string
		}
		Want want
		Log  *[][2]string // level and text; a level that ends in ~ wants a beginning of the text
	}
	Files map[string][]byte
}

// want is an answer, or an error; what is absent is not looked at.
type want struct {
	Status   int
	Headers  map[string]string // all of them; values of the same name joined by |
	Body     *string
	JSON     json.RawMessage
	Base64   []byte
	Chunks   []string // the writes of a streamed reply, the last included
	Streamed *bool    // whether the reply is streamed
	Differs  bool     // from every other answer that says so
	Deadline bool     // none ever comes

	Error   uint32
	Message *string
	Stack   string // a part of it
}

// Read reads the folder of a program.
func (l *Lab) Read(t testing.TB, folder string) *Program {
	t.Helper()
	p := &Program{Memory: 128 << 20, Files: map[string][]byte{}}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(folder, path)
		if name == "cases.json" {
			return errors.Join(err, json.Unmarshal(content, p))
		}
		p.Files[filepath.ToSlash(name)] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	switch p.Entrypoint {
	case "":
		p.Entrypoint = l.Entrypoint
	case "-":
		p.Entrypoint = ""
	}
	return p
}

// Programs runs all programs of testdata.
func (l *Lab) Programs(t *testing.T) {
	folders, err := filepath.Glob("testdata/*/cases.json")
	if err != nil || len(folders) == 0 {
		t.Fatal(folders, err)
	}
	db := database(t)
	seen := map[string]bool{}
	for _, cases := range folders {
		folder := filepath.Dir(cases)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			l.program(t, l.Read(t, folder), db.Store(filepath.Base(folder), kv.Quota{Bytes: 64 << 20, Keys: 10000}), seen)
		})
	}
}

func (l *Lab) program(t *testing.T, p *Program, store kv.Store, seen map[string]bool) {
	img, log, err := l.Load(t, p)
	if p.LoadLog != nil {
		compareLog(t, log, *p.LoadLog)
	}
	if p.Load != nil {
		var f *Failure
		if !errors.As(err, &f) {
			t.Fatalf("loading: %v", err)
		}
		p.Load.compare(t, f.Response)
		return
	}
	if err != nil {
		t.Fatalf("loading: %v", err)
	}
	s := l.slot(t, img, p)
	for _, c := range p.Cases {
		if c.Engine != "" && c.Engine != l.Name {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if c.Event.Method == "" {
				c.Event.Method = "GET"
			}
			if c.Event.Path == "" {
				c.Event.Path = "/"
			}
			e := abi.U32(event(), abi.TagKind, c.Event.Kind)
			e = abi.Bytes(e, abi.TagMethod, c.Event.Method)
			e = abi.Bytes(e, abi.TagPath, c.Event.Path)
			e = abi.Bytes(e, abi.TagQuery, c.Event.Query)
			e = abi.Bytes(e, abi.TagRoot, c.Event.Root)
			e = abi.Bytes(e, abi.TagClient, c.Event.Client)
			if c.Event.ID != "" {
				e = abi.Bytes(e, abi.TagEventID, c.Event.ID)
			}
			for _, d := range c.Event.Details {
				e = abi.Pair(e, abi.TagDetail, d[0], d[1])
			}
			for _, h := range c.Event.Headers {
				e = abi.Pair(e, abi.TagHeader, h[0], h[1])
			}
			if c.Event.Body != nil {
				c.Event.BodyBase64 = []byte(*c.Event.Body)
			}
			if c.Event.BodyBase64 != nil {
				e = abi.Bytes(e, abi.TagBody, c.Event.BodyBase64)
			}
			if c.Event.Chunks != nil {
				e = abi.U32(e, abi.TagBodyFollows, 1)
			}
			s.SetLimits(20*time.Second, 1<<20)
			r := &run{slot: s, store: store, body: c.Event.Chunks}
			reply, err := r.handle(l.base.Module, e)
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
			if c.Want.Chunks != nil && !slices.Equal(c.Want.Chunks, r.chunks) {
				t.Errorf("streamed %q, want %q", r.chunks, c.Want.Chunks)
			}
			if c.Want.Streamed != nil && *c.Want.Streamed != (r.start != nil) {
				t.Errorf("streamed: %v, want %v", r.start != nil, *c.Want.Streamed)
			}
			if c.Want.Differs && seen[string(reply.Body)] {
				t.Errorf("%s came twice", reply.Body)
			}
			seen[string(reply.Body)] = true
			if c.Log != nil {
				compareLog(t, r.log, *c.Log)
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
