package abi

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseResponse(t *testing.T) {
	resp, err := ParseResponse(golden(t)["response-full"])
	if err != nil || resp.Status != 201 || !bytes.Equal(resp.Body, []byte{0, 255}) || resp.ErrorCode != 0 {
		t.Fatalf("%+v, %v", resp, err)
	}
	var headers []string
	resp.Headers(func(name, value []byte) bool {
		headers = append(headers, string(name)+"="+string(value))
		return true
	})
	if got := strings.Join(headers, ","); got != "content-type=application/octet-stream,set-cookie=a=1,set-cookie=b=2,x-a=é,x-empty=" {
		t.Errorf("headers %s", got)
	}
	failed, err := ParseResponse(golden(t)["response-failure"])
	if err != nil || failed.ErrorCode != GuestException || string(failed.ErrorMessage) != "TypeError: x" || string(failed.ErrorStack) != "at f\nat g" {
		t.Errorf("%+v, %v", failed, err)
	}
}

func TestStatusOfResponse(t *testing.T) {
	for _, status := range []uint32{0, 100, 199, 600, 1 << 31} {
		if _, err := ParseResponse(U32(Frame(nil), TagStatus, status)); err == nil {
			t.Errorf("status %d was accepted", status)
		}
	}
}

func TestCodecAllocatesNothing(t *testing.T) {
	buffer, frame := make([]byte, 0, 1024), golden(t)["response-full"]
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
