package abi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
)

// golden frames: what every SDK must read and write. A line each: name, hex.
func golden(t testing.TB) map[string][]byte {
	text, err := os.ReadFile("vectors/frames.txt")
	if err != nil {
		t.Fatal(err)
	}
	frames := map[string][]byte{}
	for _, line := range strings.Split(string(text), "\n") {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name == "#" {
			continue
		}
		if frames[name], err = hex.DecodeString(strings.ReplaceAll(digits, " ", "")); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return frames
}

// written is the same frames as this package writes them.
func written() map[string][]byte {
	event := Frame(nil)
	event = U32(event, TagKind, KindHTTP)
	event = Bytes(event, TagRequestID, "r1")
	event = U32(event, TagAttempt, 1)
	event = U64(event, TagDeadline, 1_700_000_000_123_456_789)
	event = Bytes(event, TagMethod, "POST")
	event = Bytes(event, TagPath, "/a%20b")
	event = Bytes(event, TagQuery, "name=Alice")
	event = Pair(event, TagHeader, "content-type", "application/json")
	event = Bytes(event, TagBody, `{"x":1}`)

	response := Frame(nil)
	response = U32(response, TagStatus, 201)
	response = Pair(response, TagHeader, "x-a", "é")
	response = Pair(response, TagHeader, "x-empty", "")
	response = Bytes(response, TagBody, []byte{0, 255})

	failure := Frame(nil)
	failure = U32(failure, TagErrorCode, GuestException)
	failure = Bytes(failure, TagErrorMessage, "TypeError: x")
	failure = Bytes(failure, TagErrorStack, "at f")

	load := Frame(nil)
	load = U32(load, TagKind, KindLoad)
	load = Pair(load, TagVariable, "K", "V")
	load = Pair(load, TagFile, "function.js", "export default () => 1")
	load = Bytes(load, TagEntrypoint, "function.js")
	load = U64(load, TagMemoryLimit, 128<<20)

	increment := U64(Bytes(Frame(nil), TagKey, "n"), TagDelta, ^uint64(0))
	list := Entry(Entry(U32(Frame(nil), TagOpStatus, OpOK), "a", 1, []byte("1")), "b", 0, nil)
	return map[string][]byte{"empty": Frame(nil), "event": event, "response": response, "failure": failure, "load": load,
		"increment": increment, "list": list}
}

func TestGoldenFrames(t *testing.T) {
	want := golden(t)
	for name, got := range written() {
		if !bytes.Equal(got, want[name]) {
			t.Errorf("%s:\n got %x\nwant %x", name, got, want[name])
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("the vector %s is written by no test", name)
	}
}

func TestParseResponse(t *testing.T) {
	resp, err := ParseResponse(golden(t)["response"])
	if err != nil || resp.Status != 201 || !bytes.Equal(resp.Body, []byte{0, 255}) || resp.ErrorCode != 0 {
		t.Fatalf("%+v, %v", resp, err)
	}
	var headers []string
	resp.Headers(func(name, value []byte) bool {
		headers = append(headers, string(name)+"="+string(value))
		return true
	})
	if got := strings.Join(headers, ","); got != "x-a=é,x-empty=" {
		t.Errorf("headers %s", got)
	}
	failed, err := ParseResponse(golden(t)["failure"])
	if err != nil || failed.ErrorCode != GuestException || string(failed.ErrorMessage) != "TypeError: x" || string(failed.ErrorStack) != "at f" {
		t.Errorf("%+v, %v", failed, err)
	}
}

func TestFaultyFrames(t *testing.T) {
	good := golden(t)["response"]
	for length := range good {
		switch _, err := ParseResponse(good[:length]); length {
		case 4, 16, 33, 52: // ends between fields
			if err != nil {
				t.Errorf("cut at %d: %v", length, err)
			}
		default:
			if !errors.Is(err, ErrFrame) {
				t.Errorf("cut at %d: %v", length, err)
			}
		}
	}
	for name, frame := range map[string][]byte{
		"status of 2 bytes":     Bytes(Frame(nil), TagStatus, "ab"),
		"name leaves its field": Bytes(Frame(nil), TagHeader, "\xff\xff\xff\xffname"),
		"length of 4 GiB":       append(Frame(nil), "\x14\x00\x00\x00\xff\xff\xff\xff"...),
	} {
		if _, err := ParseResponse(frame); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, status := range []uint32{0, 100, 199, 600, 1 << 31} {
		if _, err := ParseResponse(U32(Frame(nil), TagStatus, status)); err == nil {
			t.Errorf("status %d was accepted", status)
		}
	}
}

func TestCodecAllocatesNothing(t *testing.T) {
	buffer, frame := make([]byte, 0, 1024), golden(t)["response"]
	if n := testing.AllocsPerRun(100, func() {
		b := Frame(buffer)
		b = U64(b, TagDeadline, 1)
		b = Pair(b, TagHeader, "a", "b")
		_ = Bytes(b, TagBody, "c")
		resp, err := ParseResponse(frame)
		if err != nil {
			t.Fatal(err)
		}
		resp.Headers(func(name, value []byte) bool { return len(name) > 0 })
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseResponse(f *testing.F) {
	for _, frame := range golden(f) {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		resp, err := ParseResponse(frame)
		if err != nil {
			return
		}
		size := len(resp.Body) + len(resp.ErrorMessage) + len(resp.ErrorStack)
		resp.Headers(func(name, value []byte) bool { size += len(name) + len(value); return true })
		if size > len(frame) {
			t.Errorf("%d bytes out of %d", size, len(frame))
		}
		for r := Read(frame); r.Next(); {
			if r.Tag == TagEntry {
				r.Entry()
			}
		}
	})
}

func BenchmarkEvent(b *testing.B) {
	buffer := make([]byte, 0, 1024)
	for b.Loop() {
		e := Frame(buffer)
		e = U32(e, TagKind, KindHTTP)
		e = Bytes(e, TagMethod, "GET")
		e = Bytes(e, TagPath, "/a/b/c")
		e = Pair(e, TagHeader, "accept", "*/*")
		_ = Bytes(e, TagBody, "")
	}
}
