package alephguest

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/frame"
	"github.com/aleph-edge/aleph-edge/sdk-guests/go/internal/host"
)

// TestMain is, with ALEPH_CODEC in the environment, the codec for the test beside this module that has the node's: it answers lines, as
// internal/nodetest's Vectors says.
func TestMain(m *testing.M) {
	if os.Getenv("ALEPH_CODEC") == "" {
		os.Exit(m.Run())
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		verb, rest, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "write":
			fmt.Printf("%x\n", written(strings.Fields(rest)))
		case "read":
			fmt.Println(fields(string(decoded(rest))))
		default:
			if err := takes(verb, decoded(rest)); err != nil {
				fmt.Println("invalid")
			} else {
				fmt.Println("valid")
			}
		}
	}
}

func decoded(digits string) []byte {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return b
}

func written(fields []string) []byte {
	b := frame.Begin(nil)
	for _, field := range fields {
		parts := strings.Split(field, ":")
		n, err := strconv.ParseUint(parts[1], 10, 32)
		if err != nil {
			panic(err)
		}
		tag, value := uint32(n), decoded(parts[2])
		switch parts[0] {
		case "u32":
			b = frame.U32(b, tag, binary.LittleEndian.Uint32(value))
		case "u64":
			b = frame.U64(b, tag, binary.LittleEndian.Uint64(value))
		case "bytes":
			b = frame.Bytes(b, tag, value)
		case "pair":
			b = frame.Pair(b, tag, value, decoded(parts[3]))
		case "entry":
			b = frame.Entry(b, tag, value, binary.LittleEndian.Uint32(decoded(parts[3])), decoded(parts[4]))
		}
	}
	return b
}

func fields(text string) string {
	var all []string
	r := frame.Read(text)
	for r.Next() {
		field := fmt.Sprintf("%d:%x", r.Tag, r.Value)
		pair := r // copies: what is no pair ends it
		if name, _ := pair.Pair(); pair.Err() == nil {
			field += fmt.Sprintf(":%x", name)
		}
		entry := r
		if _, kind, value := entry.Entry(); entry.Err() == nil {
			field += fmt.Sprintf(":%d:%x", kind, value)
		}
		all = append(all, field)
	}
	if r.Err() != nil {
		return "invalid"
	}
	return strings.Join(all, " ")
}

// takes reads a frame as what the node gives.
func takes(kind string, text []byte) error {
	r := frame.Read(text)
	switch kind {
	case "event":
		return newCall().read(string(text))
	case "load":
		for r.Next() {
			switch r.Tag {
			case frame.MemoryLimit:
				r.U64()
			case 32, 33:
				r.Pair()
			}
		}
		return r.Err()
	}
	if _, err := host.Checked(text); errors.Is(err, frame.ErrFrame) {
		return err
	}
	if _, err := (&exchange{end: true}).answer(&http.Request{}, text); err != nil {
		return err
	}
	for r.Next() {
		switch r.Tag {
		case frame.ValueKind, frame.Flag:
			r.U32()
		case frame.Delta:
			r.U64()
		case frame.ListEntry:
			r.Entry()
		}
	}
	return r.Err()
}

func TestRequest(t *testing.T) {
	b := frame.Begin(nil)
	b = frame.U64(b, frame.Deadline, 1700000010000000000)
	b = frame.U32(b, frame.Kind, uint32(Schedule))
	b = frame.Bytes(b, frame.RequestID, "r1")
	b = frame.Bytes(b, frame.Method, "POST")
	b = frame.Bytes(b, frame.Path, "/a%2Fb/c%20d")
	b = frame.Bytes(b, frame.Query, "q=1")
	b = frame.Bytes(b, frame.Root, "/run/x")
	for _, pair := range [][2]string{{"host", "a.example"}, {"accept", "text/html"}, {"x-two", "1"}, {"x-two", "2"}, {"content-length", "4"}} {
		b = frame.Pair(b, frame.Header, pair[0], pair[1])
	}
	b = frame.Bytes(b, frame.Body, "body")
	b = frame.Pair(b, frame.Detail, "trigger", `"nightly"`)
	c := newCall()
	if err := c.read(string(b)); err != nil {
		t.Fatal(err)
	}
	r := c.request
	if r.URL.Path != "/a/b/c d" || r.URL.String() != "/a%2Fb/c%20d?q=1" || r.RequestURI != "/run/x/a%2Fb/c%20d?q=1" || r.Host != "a.example" ||
		len(r.Header) != 3 || fmt.Sprint(r.Header["X-Two"]) != "[1 2]" || r.ContentLength != 4 {
		t.Errorf("%+v", r)
	}
	e := EventOf(r.Context())
	var trigger string
	var number int
	if e.ID != "r1" || e.Kind.String() != "schedule" || !e.Detail("trigger", &trigger) || trigger != "nightly" || e.Detail("trigger", &number) || e.Detail("none", &trigger) {
		t.Errorf("%+v", e)
	}
	if deadline, ok := r.Context().Deadline(); !ok || deadline.Unix() != 1700000010 {
		t.Error(deadline)
	}
	if err := newCall().read(string(frame.Bytes(frame.Begin(nil), frame.Path, "/%zz"))); err == nil {
		t.Error("a malformed path is taken")
	}
}
