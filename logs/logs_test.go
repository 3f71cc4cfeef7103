package logs

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t testing.TB, dir string, opts Options) *Logs {
	t.Helper()
	l, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, l) })
	return l
}

func shut(t testing.TB, l *Logs) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// entry is one whose message is text.
func entry(text string) Entry { return Entry{Level: Info, RequestID: "r", Message: text} }

func tail(t testing.TB, l *Logs, program string, n int) []Entry {
	t.Helper()
	entries, err := l.Tail(program, n)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func messages(entries []Entry) (m []string) {
	for _, e := range entries {
		m = append(m, e.Message)
	}
	return m
}

func wantTail(t testing.TB, l *Logs, program string, n int, want ...string) {
	t.Helper()
	if got := messages(tail(t, l, program, n)); !reflect.DeepEqual(got, want) {
		t.Errorf("the last %d of %s: %q, want %q", n, program, got, want)
	}
}

func numbers(from, to int) (m []string) {
	for i := from; i < to; i++ {
		m = append(m, fmt.Sprint(i))
	}
	return m
}

// quiet never writes on its own.
var quiet = Options{FlushEvery: time.Hour}

func TestTail(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, quiet)
	wantTail(t, l, "p", 3)
	for i := range 4 {
		l.Append("p", entry(fmt.Sprint(i)))
	}
	l.Append("p", entry("4"), entry("5"))
	l.Append("q", entry("of q"))
	l.Append("q")
	check := func() {
		t.Helper()
		wantTail(t, l, "p", 3, numbers(3, 6)...)
		wantTail(t, l, "p", 6, numbers(0, 6)...)
		wantTail(t, l, "p", 100, numbers(0, 6)...)
		wantTail(t, l, "p", 0)
		wantTail(t, l, "p", -1)
		wantTail(t, l, "q", 3, "of q")
	}
	check() // from the queues
	queued := tail(t, l, "p", 10)
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	check() // from the files
	if stored := tail(t, l, "p", 10); !reflect.DeepEqual(stored, queued) {
		t.Errorf("stored %v, queued %v", stored, queued)
	}
	l.Append("p", entry("6"))
	wantTail(t, l, "p", 3, numbers(4, 7)...) // from both
	shut(t, l)
	l.Append("p", entry("too late"))
	l = open(t, dir, quiet)
	wantTail(t, l, "p", 100, numbers(0, 7)...)
}

func TestFlushesByItself(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{FlushEvery: time.Millisecond})
	for i := range 3 {
		text := fmt.Sprint("entry ", i)
		l.Append("p", entry(text))
		for {
			if b, _ := os.ReadFile(filepath.Join(dir, "p.log")); strings.Contains(string(b), text) {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func TestNDJSON(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, quiet)
	when := time.Date(2026, 11, 22, 14, 0, 0, 123456789, time.FixedZone("", 3600))
	l.Append("p", Entry{when, Warning, "r1", "<a> \x1b[31m\n"}, Entry{when, 77, "", "\xff"})
	shut(t, l)
	got, err := os.ReadFile(filepath.Join(dir, "p.log"))
	want := `{"time":"2026-11-22T13:00:00.123456789Z","level":"warning","request_id":"r1","message":"<a> \u001b[31m\n"}` + "\n" +
		`{"time":"2026-11-22T13:00:00.123456789Z","level":"error","request_id":"","message":"�"}` + "\n"
	if err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestClean(t *testing.T) {
	l := open(t, t.TempDir(), Options{MaxMessage: 10, FlushEvery: time.Hour})
	for _, c := range []struct{ message, want string }{
		{"", ""},
		{"0123456789", "0123456789"},
		{"0123456789A", "0123456789… (cut: 11 bytes, limit 10)"},
		{"01234567€€", "01234567… (cut: 14 bytes, limit 10)"},
		{"0123456\xf0\x9f\x98\x80", "0123456… (cut: 11 bytes, limit 10)"},
		{strings.Repeat("\x80", 11), "\ufffd… (cut: 11 bytes, limit 10)"},
		{"a\xffb\xc0\xc1", "a\ufffdb\ufffd"},
	} {
		l.Append("p", Entry{Message: c.message})
		if got := tail(t, l, "p", 1)[0]; got.Message != c.want || got.Time.IsZero() {
			t.Errorf("%q: %+v, want %q", c.message, got, c.want)
		}
	}
	l.Append("p", Entry{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), RequestID: strings.Repeat("r", 200)})
	if e := tail(t, l, "p", 1)[0]; e.Time.Year() > 9999 || len(e.RequestID) > 200 {
		t.Errorf("%+v", e)
	}
	for _, bad := range []string{`"Info"`, `""`, `1`} {
		var level Level
		if err := json.Unmarshal([]byte(bad), &level); err == nil {
			t.Errorf("level %s is read as %v", bad, level)
		}
	}
}

// small makes files that hold some 20 entries.
func small(total int64) Options {
	return Options{MaxMessage: 20, FileSize: 2048, TotalSize: total, FlushEvery: time.Hour}
}

// disk returns what the folder's files hold in bytes, and how many there are.
func disk(t *testing.T, dir string) (bytes int64, files int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	return bytes, len(entries)
}

func TestRotation(t *testing.T) {
	for _, batch := range []int{1, 7, 500} { // entries a flush
		dir := t.TempDir()
		opts := small(1 << 20)
		l := open(t, dir, opts)
		for i := range 500 {
			l.Append("p", entry(fmt.Sprint(i)))
			if i%batch == batch-1 {
				if err := l.flush(); err != nil {
					t.Fatal(err)
				}
				if size, files := disk(t, dir); size > 2*opts.FileSize || files > 2 || size != l.total.Load() {
					t.Fatalf("batches of %d: %d bytes in %d files, %d counted", batch, size, files, l.total.Load())
				}
			}
			wantTail(t, l, "p", 10, numbers(max(i-9, 0), i+1)...)
		}
		shut(t, l)
		l = open(t, dir, opts)
		got := messages(tail(t, l, "p", 1000))
		if want := numbers(500-len(got), 500); len(got) < 20 || !reflect.DeepEqual(got, want) {
			t.Errorf("batches of %d: %q", batch, got)
		}
	}
}

// TestTotal: over the total, what was written longest ago goes, of whichever program.
func TestTotal(t *testing.T) {
	dir := t.TempDir()
	const total = 8 << 10
	l := open(t, dir, small(total))
	for i := range 100 {
		for range 15 {
			l.Append(fmt.Sprint("p", i), entry("0123456789"))
		}
		if err := l.flush(); err != nil {
			t.Fatal(err)
		}
		if size, _ := disk(t, dir); size > total || size != l.total.Load() {
			t.Fatalf("%d bytes, %d counted", size, l.total.Load())
		}
		if i == 50 {
			shut(t, l)
			l = open(t, dir, small(total))
		}
	}
	if got := tail(t, l, "p99", 100); len(got) != 15 {
		t.Errorf("%d entries of the last program", len(got))
	}
	wantTail(t, l, "p0", 100)
	if size, files := disk(t, dir); files < 3 {
		t.Errorf("%d bytes in %d files are left", size, files)
	}
}

// TestTorn: a crash leaves part of a line, or worse.
func TestTorn(t *testing.T) {
	for _, torn := range []string{"", `{"time":"2026-11-22T13:00:00Z","le`, "{}", "null", "\x00\x00\x00", "\n\n", "x\n{\n"} {
		dir := t.TempDir()
		l := open(t, dir, quiet)
		l.Append("p", entry("0"), entry("1"))
		shut(t, l)
		f, err := os.OpenFile(filepath.Join(dir, "p.log"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(torn)
		f.Close()
		l = open(t, dir, quiet)
		wantTail(t, l, "p", 10, "0", "1")
		l.Append("p", entry("2"))
		wantTail(t, l, "p", 10, "0", "1", "2")
		shut(t, l)
		if size, _ := disk(t, dir); size != l.total.Load() {
			t.Errorf("%q: %d bytes, %d counted", torn, size, l.total.Load())
		}
		l = open(t, dir, quiet)
		wantTail(t, l, "p", 10, "0", "1", "2")
	}
}

func TestQueueFull(t *testing.T) {
	e := entry("0123456789")
	for _, opts := range []Options{
		{Queue: 10 * int64(e.size()), FlushEvery: time.Hour},
		{QueueTotal: 10 * int64(e.size()), FlushEvery: time.Hour},
	} {
		l, err := Open(t.TempDir(), opts)
		if err != nil {
			t.Fatal(err)
		}
		// Without its goroutine, which would be in a hurry.
		close(l.stop)
		<-l.gone
		for range 25 {
			l.Append("p", e)
		}
		if err := l.flush(); err != nil {
			t.Error(err)
		}
		l.Append("p", e)
		got := messages(tail(t, l, "p", 100))
		if len(got) != 12 || got[10] != "log: 15 entries lost, they could not be written in time" || got[11] != e.Message {
			t.Errorf("%q", got)
		}
		if err := l.flush(); err != nil || l.queued.Load() != 0 {
			t.Errorf("%d bytes queued, %v", l.queued.Load(), err)
		}
	}
}

// TestHurry: a queue that is half full is written at once.
func TestHurry(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, Options{Queue: 1000, FlushEvery: time.Hour})
	l.Append("p", entry(strings.Repeat("x", 500)))
	for {
		if size, _ := disk(t, dir); size > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
}

// TestUnwritable: what the disk refuses is counted, and said once it takes more.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "p.log"), 0o700); err != nil { // no file can be there
		t.Fatal(err)
	}
	for range 2 {
		l.Append("p", entry("0"), entry("1"))
		l.Append("q", entry("of q"))
		if err := l.flush(); err == nil || !strings.Contains(err.Error(), "log of p") {
			t.Errorf("flush: %v", err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "p.log")); err != nil {
		t.Fatal(err)
	}
	l.Append("p", entry("2"))
	if err := l.flush(); err != nil {
		t.Error(err)
	}
	wantTail(t, l, "q", 9, "of q", "of q")
	wantTail(t, l, "p", 9, "log: 4 entries lost, they could not be written in time", "2")
	shut(t, l)
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, small(1<<20))
	follow, err := l.Follow(context.Background(), "p", 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		l.Append("p", entry(fmt.Sprint(i)))
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	l.Append("p", entry("40"))
	if err := l.Remove("p"); err != nil {
		t.Fatal(err)
	}
	if _, files := disk(t, dir); files != 0 || l.total.Load() != 0 || l.queued.Load() != 0 {
		t.Errorf("%d files, %d bytes, %d queued", files, l.total.Load(), l.queued.Load())
	}
	var got []string
	for e := range follow {
		got = append(got, e.Message)
	}
	if !reflect.DeepEqual(got, numbers(0, 41)) {
		t.Errorf("followed %q", got)
	}
	l.Append("p", entry("new"))
	wantTail(t, l, "p", 10, "new")
	if err := l.Remove("never seen"); err != nil {
		t.Error(err)
	}
}

// TestNames: programs' names never leave the folder nor meet.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	names := []string{"p", "p.1", "p.log", ".", "..", "../p", "a/b", "a%2Fb", "", "\x00", "ü"}
	l := open(t, dir, quiet)
	for _, name := range names {
		l.Append(name, entry(name))
	}
	shut(t, l)
	if _, files := disk(t, dir); files != len(names) {
		t.Errorf("%d files", files)
	}
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, quiet)
	for _, name := range names {
		wantTail(t, l, name, 10, name)
	}
	if n := len(l.all()); n != len(names) {
		t.Errorf("%d programs", n)
	}
}

func TestOptions(t *testing.T) {
	for field, opts := range map[string]Options{
		"file_size": {FileSize: 100}, "total_size": {TotalSize: 1}, "max_message": {MaxMessage: -1}, "flush_every": {FlushEvery: -1},
		"queue": {Queue: -1}, "queue_total": {QueueTotal: -1}, "follow_buffer": {FollowBuffer: -1},
	} {
		if _, err := Open(t.TempDir(), opts); err == nil || !strings.Contains(err.Error(), field+":") {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Options{}); err == nil {
		t.Error("opened a file")
	}
}

// TestConcurrent: everything at once; each program's entries stay in order and none is there twice.
func TestConcurrent(t *testing.T) {
	const programs, each = 4, 2000
	var mu sync.Mutex
	sunk := make(map[string]int)
	l := open(t, t.TempDir(), Options{FlushEvery: time.Millisecond, FollowBuffer: each, Sink: func(program string, _ Entry) {
		mu.Lock()
		sunk[program]++
		mu.Unlock()
	}})
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for p := range programs {
		name := fmt.Sprint("p", p)
		follow, err := l.Follow(ctx, name, 10)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for i := range each {
				l.Append(name, entry(fmt.Sprint(i)))
				if i%100 == 0 {
					l.Append("shared", entry("x"))
					if err := l.Remove("brief"); err != nil {
						t.Error(err)
					}
					l.Append("brief", entry("x"))
				}
			}
		})
		wg.Go(func() { // follow, until the last
			last := -1
			for e := range follow {
				if last++; e.Message != fmt.Sprint(last) {
					t.Errorf("%s: %s, want %d", name, e.Message, last)
				}
				if last == each-1 {
					return
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				got := tail(t, l, name, 50)
				for i := 1; i < len(got); i++ {
					var a, b int
					fmt.Sscan(got[i-1].Message, &a)
					fmt.Sscan(got[i].Message, &b)
					if b != a+1 {
						t.Errorf("%s: %d after %d", name, b, a)
					}
				}
			}
		})
	}
	wg.Wait()
	for p := range programs {
		wantTail(t, l, fmt.Sprint("p", p), each, numbers(0, each)...)
	}
	shut(t, l)
	mu.Lock()
	defer mu.Unlock()
	if sunk["p0"] == 0 {
		t.Error("nothing came to the sink")
	}
}

// BenchmarkAppend is one entry of a request.
func BenchmarkAppend(b *testing.B) {
	l := open(b, b.TempDir(), Options{})
	e := Entry{Time: time.Now(), Level: Info, RequestID: "0123456789abcdef0123456789abcdef", Message: "GET /things answered in 3 ms"}
	b.ReportAllocs()
	for b.Loop() {
		l.Append("63f07193", e)
	}
}
