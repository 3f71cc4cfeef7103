package wasm

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
)

func TestFunctionNames(t *testing.T) {
	names := map[Function]string{ArgsGet: "args_get", ArgsSizesGet: "args_sizes_get", EnvironGet: "environ_get", EnvironSizesGet: "environ_sizes_get",
		ClockResGet: "clock_res_get", ClockTimeGet: "clock_time_get", FdAdvise: "fd_advise", FdAllocate: "fd_allocate", FdClose: "fd_close",
		FdDatasync: "fd_datasync", FdFdstatGet: "fd_fdstat_get", FdFdstatSetFlags: "fd_fdstat_set_flags", FdFdstatSetRights: "fd_fdstat_set_rights",
		FdFilestatGet: "fd_filestat_get", FdFilestatSetSize: "fd_filestat_set_size", FdFilestatSetTimes: "fd_filestat_set_times", FdPread: "fd_pread",
		FdPrestatGet: "fd_prestat_get", FdPrestatDirName: "fd_prestat_dir_name", FdPwrite: "fd_pwrite", FdRead: "fd_read", FdReaddir: "fd_readdir",
		FdRenumber: "fd_renumber", FdSeek: "fd_seek", FdSync: "fd_sync", FdTell: "fd_tell", FdWrite: "fd_write",
		PathCreateDirectory: "path_create_directory", PathFilestatGet: "path_filestat_get", PathFilestatSetTimes: "path_filestat_set_times",
		PathLink: "path_link", PathOpen: "path_open", PathReadlink: "path_readlink", PathRemoveDirectory: "path_remove_directory",
		PathRename: "path_rename", PathSymlink: "path_symlink", PathUnlinkFile: "path_unlink_file", PollOneoff: "poll_oneoff", ProcExit: "proc_exit",
		ProcRaise: "proc_raise", RandomGet: "random_get", SchedYield: "sched_yield", SockAccept: "sock_accept", SockRecv: "sock_recv",
		SockSend: "sock_send", SockShutdown: "sock_shutdown"}
	if len(names) != int(SockShutdown)+1 || (SockShutdown+1).String() != "" {
		t.Errorf("there are %d functions, and %q", len(names), SockShutdown+1)
	}
	for f, want := range names {
		if f.String() != want {
			t.Errorf("%s is called %s", want, f)
		}
	}
}

const wasiImports = `
 (import "wasi_snapshot_preview1" "clock_res_get" (func $clock_res (param i32 i32) (result i32)))
 (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time (param i32 i64 i32) (result i32)))
 (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
 (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
 (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
 (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
 (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
 (import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))
`

// wasiModule is a guest of two pages of memory.
func wasiModule(body string) string {
	return "(module " + wasiImports + ` (memory (export "memory") 2) ` + body + ")"
}

// TestImmediate: the functions that C answers, each well and badly used; the result of the i-th call is at 1024 + 4i.
func TestImmediate(t *testing.T) {
	e := newEngine(t, Config{})
	const end = 2 << 16
	tests := []struct {
		call string
		want uint32
	}{
		{"call $clock_res (i32.const 0) (i32.const 8)", 0},
		{"call $clock_res (i32.const 4) (i32.const 8)", 28},
		{fmt.Sprintf("call $clock_res (i32.const 0) (i32.const %d)", end-7), 21},
		{"call $clock_time (i32.const 0) (i64.const 1) (i32.const 16)", 0},
		{"call $clock_time (i32.const 1) (i64.const 1) (i32.const 24)", 0},
		{"call $clock_time (i32.const 2) (i64.const 1) (i32.const 32)", 0},
		{"call $clock_time (i32.const 3) (i64.const 1) (i32.const 40)", 0},
		{"call $clock_time (i32.const 4) (i64.const 1) (i32.const 48)", 28},
		{"call $clock_time (i32.const -1) (i64.const 1) (i32.const 48)", 28},
		{fmt.Sprintf("call $clock_time (i32.const 0) (i64.const 1) (i32.const %d)", end-7), 21},
		{"call $random_get (i32.const 64) (i32.const 100)", 0},
		{fmt.Sprintf("call $random_get (i32.const %d) (i32.const 0)", end), 0},
		{fmt.Sprintf("call $random_get (i32.const %d) (i32.const 2)", end-1), 21},
		{"call $random_get (i32.const -1) (i32.const -1)", 21},
		{"call $yield", 0},
		{"call $raise (i32.const 0)", 0},
		{"call $seek (i32.const 0) (i64.const -1) (i32.const 1) (i32.const 0)", noSystem},
		{"call $write (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0)", noSystem},
		{"call $write (i32.const 1) (i32.const 200) (i32.const 1025) (i32.const 0)", 28},
		{fmt.Sprintf("call $write (i32.const 1) (i32.const %d) (i32.const 1) (i32.const 0)", end-7), 21},
		{fmt.Sprintf("call $write (i32.const 1) (i32.const 200) (i32.const 1) (i32.const %d)", end-3), 21},
		{fmt.Sprintf("call $write (i32.const 1) (i32.const %d) (i32.const 1) (i32.const 0)", end-16), 21}, // it says -1, -1
		{"call $write (i32.const 1) (i32.const 200) (i32.const 0) (i32.const 0)", 0},
	}
	body := fmt.Sprintf(`(func (export "aleph_handle") (param i32) (i64.store (i32.const %d) (i64.const -1))`, end-16)
	for i, test := range tests {
		body += fmt.Sprintf(" (i32.store (i32.const %d) (%s))", 1024+4*i, test.call)
	}
	m := load(t, e, wasiModule(body+")"))
	s := slot(t, e, image(t, e, 2, nil), end)
	before, monotonic := uint64(time.Now().UnixNano()), uint64(e.Clock())
	if status := run(s, m, nil); status != Done {
		t.Fatalf("status %d: %v", status, s.Fault())
	}
	number := func(at int) uint64 { return binary.LittleEndian.Uint64(s.Memory()[at:]) }
	for i, test := range tests {
		if got := uint32(number(1024 + 4*i)); got != test.want {
			t.Errorf("%s: errno %d, want %d", test.call, got, test.want)
		}
	}
	if r, m, cpu := number(16), number(24), number(32); number(8) != 1 || r < before || r > uint64(time.Now().UnixNano()) || m < monotonic || m > uint64(e.Clock()) ||
		cpu == 0 || cpu > number(40) || time.Duration(cpu) > s.CPU() {
		t.Errorf("clocks are %d, %d, %d, %d; CPU %v", r, m, cpu, number(40), s.CPU())
	}
	if number(64) == 0 || number(156) == 0 {
		t.Error("nothing random was given")
	}
}

// TestLogLines: what is written is logged by lines, however it is cut, the rest at the end.
func TestLogLines(t *testing.T) {
	e := newEngine(t, Config{})
	content := []byte("one\ntwo\n\nthree of " + strings.Repeat("x", 9000) + "\nrest")
	put := func(fd, from, n int) string {
		return fmt.Sprintf(`(i32.store (i32.const 20000) (i32.const %d)) (i32.store (i32.const 20004) (i32.const %d))
		 (drop (call $write (i32.const %d) (i32.const 20000) (i32.const 1) (i32.const 20008)))`, from, n, fd)
	}
	body := `(func (export "aleph_handle") (param i32) ` + put(1, 0, 2) + put(2, 0, 5) + put(1, 2, 6) + put(1, 8, 6) + put(1, 14, len(content)-14) + ")"
	s := slot(t, e, image(t, e, 2, content), 2<<16)
	for range 2 {
		if status := run(s, load(t, e, wasiModule(body)), nil); status != Done {
			t.Fatalf("status %d: %v", status, s.Fault())
		}
		var got []string
		s.Logs(func(level int, text []byte) { got = append(got, fmt.Sprintf("%d %s", level, text)) })
		long := "three of " + strings.Repeat("x", 9000)
		want := []string{"3 one", "1 one", "1 two", "1 " + long[:8192], "1 " + long[8192:], "1 rest", "3 t"}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("logged %q", got)
		}
	}
}

// TestExit: a guest that ends itself is done, with its status, and its memory is restored as ever.
func TestExit(t *testing.T) {
	e := newEngine(t, Config{})
	m := load(t, e, wasiModule(`(func (export "_start") (i32.store (i32.const 0) (i32.const 7)) (call $exit (i32.const 3)) (i32.store (i32.const 4) (i32.const 7)))
	 (func (export "aleph_handle") (param i32))
	 (func (export "raise") (param i32) (drop (call $raise (i32.const 6))))`))
	s := slot(t, e, image(t, e, 2, nil), 2<<16)
	for range 3 {
		if status := finish(s, s.Main(m, "_start")); status != Done {
			t.Fatalf("status %d: %v", status, s.Fault())
		}
		if status, exited := s.Exited(); status != 3 || !exited || s.Memory()[0] != 7 || s.Memory()[4] != 0 {
			t.Errorf("status %d, %v", status, exited)
		}
		if status := run(s, m, nil); status != Done || s.Memory()[0] != 0 {
			t.Fatalf("status %d: %v", status, s.Fault())
		}
		if status, exited := s.Exited(); status != 0 || exited {
			t.Errorf("a run that returned has the status %d, %v", status, exited)
		}
	}
	if status := finish(s, s.Start(m, "raise", nil)); status != Failed || s.Fault().Cause != Trap || s.Fault().Message != "the program raised the signal 6" {
		t.Errorf("status %d: %v", status, s.Fault())
	}
}

// prober answers every call by a sleep, and then with a number.
type prober struct {
	calls, answers int
	seen           Call
}

func (p *prober) Answer(c *Call) uint16 {
	p.calls++
	if c.Result == nil {
		p.seen = *c
		if asked, ok := c.Sleep(time.Millisecond); !ok {
			return 6
		} else if asked {
			return 0
		}
	}
	p.answers++
	return 42
}

func (p *prober) Left() string { return "" }

const seeking = `(func $go (export "aleph_handle") (param i32)
	(i32.store (i32.const 0) (call $seek (i32.const -2) (i64.const -3) (i32.const 4) (i32.const 5)))
	(i32.store (i32.const 4) (call $seek (i32.const 1) (i64.const 2) (i32.const 3) (i32.const 4))))
 (func (export "_start") (call $go (i32.const 0)))`

// TestCalls: Go answers, at once or after operations; a run that made no call has no process.
func TestCalls(t *testing.T) {
	e := newEngine(t, Config{})
	m := load(t, e, wasiModule(seeking+`(func (export "idle") (param i32))`))
	s := slot(t, e, image(t, e, 2, nil), 2<<16)
	made := 0
	s.SetSystem(System{Process: func() Process { made++; return &prober{} }})
	for round := range 3 {
		for status := finish(s, s.Start(m, "aleph_handle", []byte("an event"))); status != Done; {
			if status != Waiting || s.Ready() {
				t.Fatalf("status %d, ready %v: %v", status, s.Ready(), s.Fault())
			}
			if again := s.Resume(); again != Waiting {
				t.Fatalf("status %d without the operation's result", again)
			}
			s.Started(func(op Operation) {
				if op.Op != abi.OpSleep {
					t.Errorf("operation %d", op.Op)
				}
				if !s.Complete(op.Ticket, abi.U32(abi.Frame(nil), abi.TagOpStatus, abi.OpOK)) {
					t.Error("the operation is not outstanding")
				}
			})
			if !s.Ready() {
				t.Fatal("not ready with the operation's result")
			}
			status = finish(s, s.Resume())
		}
		p := s.Process().(*prober)
		if made != round+1 || p.calls != 4 || p.answers != 2 || s.Memory()[0] != 42 || s.Memory()[4] != 42 || s.Outstanding() != 0 {
			t.Fatalf("made %d, calls %d, answers %d, memory %d, outstanding %d", made, p.calls, p.answers, s.Memory()[:8], s.Outstanding())
		}
		if p.seen.Function != FdSeek || p.seen.Args != [9]uint64{1, 2, 3, 4} {
			t.Errorf("saw %v%v", p.seen.Function, p.seen.Args)
		}
	}
	if status := finish(s, s.Start(m, "idle", nil)); status != Done || s.Process() != nil {
		t.Errorf("status %d, process %v", status, s.Process())
	}
	if status := finish(s, s.Start(m, "aleph_handle", nil)); status != Waiting { // dropped while it waits
		t.Errorf("status %d", status)
	}
	s.Cancel()
	if s.Process() != nil {
		t.Error("a cancelled run has a process")
	}
}

// TestCallsWhileLoading: an initialisation waits itself, within its budget.
func TestCallsWhileLoading(t *testing.T) {
	e := newEngine(t, Config{})
	m := load(t, e, wasiModule(seeking))
	s := slot(t, e, image(t, e, 2, nil), 2<<16)
	p := &prober{}
	s.SetSystem(System{Process: func() Process { return p }})
	for _, test := range []struct {
		budget time.Duration
		want   byte
	}{{time.Second, 42}, {time.Nanosecond, 6}} {
		s.SetLimits(test.budget, 1000)
		if status := s.Open(m); status != Done {
			t.Fatalf("status %d: %v", status, s.Fault())
		}
		status := finish(s, s.Call("_start", false, nil))
		if status == Done && s.Memory()[4] != test.want || status != Done && s.Fault().Cause != OutOfBudget {
			t.Errorf("status %d, errno %d: %v", status, s.Memory()[4], s.Fault())
		}
		if test.want == 42 && s.CPU() < 2*time.Millisecond {
			t.Errorf("%v of waiting were counted", s.CPU())
		}
		s.EndOpen()
	}
}

// TestReserve: what a process takes of the node's memory is given back when its run ends.
func TestReserve(t *testing.T) {
	e := newEngine(t, Config{})
	s := slot(t, e, image(t, e, 2, nil), 2<<16)
	e.setBudget(1000)
	if !s.Reserve(600) || s.Reserve(600) || !s.Reserve(-100) || !s.Reserve(500) || e.Budget() != 0 {
		t.Errorf("%d bytes are left", e.Budget())
	}
	s.Cancel()
	if e.Budget() != 1000 {
		t.Errorf("%d bytes are left", e.Budget())
	}
}

func BenchmarkCall(b *testing.B) {
	e := newEngine(b, Config{})
	m := load(b, e, wasiModule(`(func (export "aleph_handle") (param $n i32)
	 (loop $l (drop (call $seek (i32.const 1) (i64.const 2) (i32.const 3) (i32.const 4))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))`))
	s := slot(b, e, image(b, e, 2, nil), 2<<16)
	s.SetLimits(time.Hour, 0)
	b.ReportAllocs()
	n := 1000
	event := make([]byte, n)
	for b.Loop() {
		if status := run(s, m, event); status != Done {
			b.Fatal(status)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/call")
}
