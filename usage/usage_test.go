package usage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/kv"
)

func openDB(t testing.TB, dir string) *kv.DB {
	t.Helper()
	db, err := kv.Open(dir, kv.Options{InMemory: dir == ""})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, db) })
	return db
}

func openMeter(t testing.TB, db *kv.DB, opts Options) *Meter {
	t.Helper()
	m, err := Open(db, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, m) })
	return m
}

func closed(t testing.TB, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func account(t testing.TB, m *Meter, id string) *Account {
	t.Helper()
	a, err := m.Program(id)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var deployed = &Deployment{Program: "p", CodeRef: "c", Owner: "0xA", Node: "n", VCPUs: 1}

// record is one whose numbers all depend on i.
func record(i uint64) *Record {
	r := &Record{
		Deployment: deployed, Trigger: Trigger{Type: "http"}, Attempt: 1, Status: 200,
		Wall: time.Duration(1_000_003 * (i%89 + 1)), CPU: time.Duration(999_983 * (i%97 + 1)),
		MemoryLimit: (i%8 + 1) << 27, ResponseBytes: i % 1009, Fetches: i % 2, OutboundBytes: i % 13, InboundBytes: i % 11, StoreReads: i % 3, StoreWrites: i % 5,
	}
	if i%7 == 0 {
		r.ErrorClass = "exception"
	}
	return r
}

// sum is what the totals of the records 0 to n-1 must be, by other means than Totals has.
func sum(n uint64) Report {
	var errs, egress, fetches, inbound, ops, memory, cpu, wall uint64 // memory in 128 MiB x ns
	for i := range n {
		r := record(i)
		if r.ErrorClass != "" {
			errs++
		}
		egress += r.ResponseBytes + r.OutboundBytes
		fetches += r.Fetches
		inbound += r.InboundBytes
		ops += r.StoreReads + r.StoreWrites
		cpu += uint64(r.CPU)
		wall += uint64(r.Wall)
		memory += r.MemoryLimit >> 27 * uint64(r.Wall)
	}
	exact := func(n, unit uint64) json.Number {
		ratio := new(big.Rat).SetFrac(new(big.Int).SetUint64(n), new(big.Int).SetUint64(unit))
		return json.Number(strings.TrimSuffix(strings.TrimRight(ratio.FloatString(60), "0"), "."))
	}
	return Report{Invocations: n, Errors: errs, GBSeconds: exact(memory, 8e9), CPUMillis: exact(cpu, 1e6), WallMillis: exact(wall, 1e6),
		EgressBytes: egress, Fetches: fetches, Inbound: inbound, StoreOps: ops}
}

// TestConcurrent: totals are the sum of the records, from many goroutines, while they are flushed, and after a restart.
func TestConcurrent(t *testing.T) {
	const workers, each, programs = 8, 3000, 3
	dir := t.TempDir()
	for round := range uint64(2) {
		db, err := kv.Open(dir, kv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Open(db, Options{Interval: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for w := range uint64(workers) {
			wg.Go(func() {
				for i := range uint64(each) {
					a, err := m.Program(fmt.Sprint("p", i%programs))
					if err != nil {
						t.Error(err)
						return
					}
					a.Add(record(((round*workers+w)*each + i) / programs))
				}
			})
		}
		wg.Wait()
		for p := range programs {
			a := account(t, m, fmt.Sprint("p", p))
			if got, want := a.Report(0), sum((round+1)*workers*each/programs); !reflect.DeepEqual(got, want) {
				t.Errorf("round %d: %+v, want %+v", round, got, want)
			}
		}
		closed(t, m)
		closed(t, db)
	}
}

func TestManyAccounts(t *testing.T) {
	const programs = 2*flushAccounts + 1
	db := openDB(t, "")
	m := openMeter(t, db, Options{Interval: time.Hour})
	for i := range programs {
		account(t, m, fmt.Sprint(i)).Add(record(0))
	}
	closed(t, m)
	m = openMeter(t, db, Options{})
	for i := range programs {
		if n := account(t, m, fmt.Sprint(i)).Totals().Invocations; n != 1 {
			t.Errorf("program %d: %d invocations", i, n)
		}
	}
}

func TestRecords(t *testing.T) {
	for _, limit := range []int{1, 7, 8, 9, 100} {
		m := openMeter(t, openDB(t, ""), Options{Records: limit})
		a := account(t, m, "p")
		for added := range 3*limit + 1 {
			for _, n := range []int{-1, 0, 1, limit - 1, limit, limit + 1} {
				got := a.Records(n)
				if want := min(max(n, 0), limit, added); len(got) != want {
					t.Fatalf("limit %d, %d added: %d records, want %d", limit, added, len(got), want)
				}
				for i, r := range got {
					if want := uint32(added - len(got) + i); r.Attempt != want {
						t.Fatalf("limit %d, %d added: record %d of %d is %d, want %d", limit, added, i, n, r.Attempt, want)
					}
				}
			}
			a.Add(&Record{Deployment: deployed, Attempt: uint32(added)})
		}
		if c := cap(a.last.records); c > limit {
			t.Errorf("limit %d: room for %d records", limit, c)
		}
	}
}

func TestRemove(t *testing.T) {
	db := openDB(t, "")
	m := openMeter(t, db, Options{})
	a := account(t, m, "p")
	a.Add(record(0))
	if err := m.Remove("p"); err != nil {
		t.Fatal(err)
	}
	a.Add(record(1)) // one that was under way
	if got := a.Records(10); len(got) != 0 {
		t.Errorf("records: %v", got)
	}
	closed(t, m)
	m = openMeter(t, db, Options{})
	if got, want := account(t, m, "p").Report(0), sum(2); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestUnwritable: while the database refuses, totals stay to be written, and Close says that they were not.
func TestUnwritable(t *testing.T) {
	db, err := kv.Open("", kv.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 16)
	m, err := Open(db, Options{Interval: time.Millisecond, Log: slog.New(slog.NewTextHandler(writer(said), nil))})
	if err != nil {
		t.Fatal(err)
	}
	a := account(t, m, "p")
	closed(t, db)
	a.Add(record(0))
	if line := <-said; !strings.Contains(line, "usage is not stored") {
		t.Errorf("log: %s", line)
	}
	a.Add(record(1))
	for range 2 { // a flush, and another that comes after it
		if err := m.flush(); err == nil {
			t.Error("flushed to a closed database")
		}
	}
	if _, err := m.Program("q"); err == nil {
		t.Error("read from a closed database")
	}
	first := m.Close()
	if first == nil || m.Close() != first {
		t.Errorf("close: %v", first)
	}
	if got := a.Report(0); !reflect.DeepEqual(got, sum(2)) {
		t.Errorf("%+v", got)
	}
}

type writer chan string

func (w writer) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

func TestOptions(t *testing.T) {
	for _, opts := range []Options{{Records: -1}, {Interval: -1}} {
		if _, err := Open(nil, opts); err == nil {
			t.Errorf("%+v accepted", opts)
		}
	}
}

func TestJSON(t *testing.T) {
	m := openMeter(t, openDB(t, ""), Options{})
	a := account(t, m, "p")
	empty, err := json.Marshal(a.Report(1))
	if want := `{"invocations":0,"errors":0,"gb_seconds":0,"cpu_ms":0,"wall_ms":0,"egress_bytes":0,"fetches":0,"inbound_bytes":0,"store_ops":0,"records":[]}`; err != nil || string(empty) != want {
		t.Errorf("%s, %v, want %s", empty, err, want)
	}
	a.Add(&Record{
		Invocation: [16]byte{0xab, 15: 1}, Deployment: deployed, Trigger: Trigger{"schedule", "nightly"}, Attempt: 2, Status: 504,
		Cold: true, ErrorClass: "timeout", Queued: 1795338470418000001, Started: 1795338470418000002, Ended: 1795338470420500002,
		Init: 12345, Wall: 2500000, CPU: 1000001, MemoryLimit: 128 << 20, MemoryPeak: 70000, RequestBytes: 1, ResponseBytes: 20,
		Fetches: 8, OutboundBytes: 300, InboundBytes: 90, StoreReads: 4, StoreWrites: 5, StoreBytes: 6, LogBytes: 7,
	})
	want := `{"invocations":1,"errors":1,"gb_seconds":0.0003125,"cpu_ms":1.000001,"wall_ms":2.5,"egress_bytes":320,"fetches":8,"inbound_bytes":90,"store_ops":9`
	if got, err := json.Marshal(a.Report(0)); err != nil || string(got) != want+"}" {
		t.Errorf("%s, %v, want %s}", got, err, want)
	}
	want += `,"records":[{"invocation_id":"ab000000000000000000000000000001","program":"p","code_ref":"c","owner":"0xA","node":"n",` +
		`"trigger":{"type":"schedule","id":"nightly"},"attempt":2,"queued":1795338470418000001,"started":1795338470418000002,` +
		`"ended":1795338470420500002,"cold":true,"init_ns":12345,"wall_ns":2500000,"cpu_ns":1000001,"memory_limit":134217728,` +
		`"memory_peak":70000,"request_bytes":1,"response_bytes":20,"egress_bytes":320,"fetches":8,"outbound_bytes":300,"inbound_bytes":90,"store_reads":4,"store_writes":5,` +
		`"store_bytes":6,"log_bytes":7,"status":504,"error_class":"timeout","gb_seconds":0.0003125,"compute_units":1}]}`
	if got, err := json.Marshal(a.Report(5)); err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

// TestFormat1 reads totals that were stored before requests were counted.
func TestFormat1(t *testing.T) {
	stored := Totals{Invocations: 7, StoreOps: 9}
	b := stored.encode()
	b = b[:len(b)-sinceFormat2]
	b[0] = 1
	var totals Totals
	if err := totals.decode(b); err != nil || totals != stored {
		t.Errorf("%+v, %v", totals, err)
	}
}

func TestDecimal(t *testing.T) {
	max := Uint128{math.MaxUint64, math.MaxUint64}
	for _, c := range []struct {
		n      Uint128
		places int
		want   json.Number
	}{
		{Uint128{}, 6, "0"},
		{Uint128{Lo: 1}, 6, "0.000001"},
		{Uint128{Lo: 1_000_000}, 6, "1"},
		{Uint128{Lo: 10_500_000}, 6, "10.5"},
		{Uint128{Lo: 1200}, 0, "1200"},
		{max, 6, "340282366920938463463374607431768.211455"},
	} {
		if got := decimal(c.n.Big(), c.places); got != c.want {
			t.Errorf("%v: %s, want %s", c.n, got, c.want)
		}
	}
}

// TestLarge: the sums go past 64 bits.
func TestLarge(t *testing.T) {
	var totals Totals
	for range 3 {
		totals.Add(&Record{Wall: math.MaxInt64, CPU: math.MaxInt64, MemoryLimit: math.MaxUint64, Init: -1})
	}
	totals.Add(&Record{Wall: -1, CPU: math.MinInt64, MemoryLimit: 1})
	three := big.NewInt(3)
	if got, want := totals.Wall.Big(), new(big.Int).Mul(three, big.NewInt(math.MaxInt64)); got.Cmp(want) != 0 {
		t.Errorf("wall %v, want %v", got, want)
	}
	want := new(big.Int).Mul(totals.CPU.Big(), new(big.Int).SetUint64(math.MaxUint64))
	want.Mod(want, new(big.Int).Lsh(big.NewInt(1), 128))
	if got := totals.MemoryTime.Big(); got.Cmp(want) != 0 {
		t.Errorf("memory %v, want %v", got, want)
	}
}

func TestComputeUnits(t *testing.T) {
	for _, c := range []struct {
		vcpus        uint32
		memory, want uint64
	}{
		{0, 0, 0}, {1, 0, 1}, {1, 128 << 20, 1}, {0, 1, 1}, {1, 2048 << 20, 1}, {1, 2048<<20 + 1, 2}, {4, 4096 << 20, 4}, {1, math.MaxUint64, 1 << 33},
	} {
		if got := ComputeUnits(c.vcpus, c.memory); got != c.want {
			t.Errorf("%d vCPUs, %d bytes: %d, want %d", c.vcpus, c.memory, got, c.want)
		}
	}
}

func TestAddAllocations(t *testing.T) {
	m := openMeter(t, openDB(t, ""), Options{Interval: time.Hour})
	a, r := account(t, m, "p"), record(0)
	for range m.opts.Records {
		a.Add(r)
	}
	if n := testing.AllocsPerRun(1000, func() { a.Add(r); m.dirty.Store(nil); a.take() }); n != 0 { // as if each were the first after a flush
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	totals := Totals{Invocations: 1, MemoryTime: Uint128{2, 3}, StoreOps: 4}
	f.Add(totals.encode())
	f.Add([]byte{})
	f.Add(append([]byte{1}, make([]byte, 80)...)) // the first format
	f.Fuzz(func(t *testing.T, b []byte) {
		var totals, again Totals
		if totals.decode(b) != nil {
			return
		}
		written := totals.encode()
		if err := again.decode(written); err != nil || again != totals || b[0] == written[0] && !bytes.Equal(written, b) {
			t.Errorf("%x is read as %+v, written as %x: %v", b, totals, written, err)
		}
	})
}

// BenchmarkAdd: 29 ns, and 41 ns with two goroutines at once, on the 2-core machine of the other figures.
func BenchmarkAdd(b *testing.B) {
	m := openMeter(b, openDB(b, ""), Options{})
	a, r := account(b, m, "p"), record(0)
	b.ReportAllocs()
	for b.Loop() {
		a.Add(r)
	}
}

// BenchmarkAddParallel has all goroutines add to one account.
func BenchmarkAddParallel(b *testing.B) {
	m := openMeter(b, openDB(b, ""), Options{})
	a := account(b, m, "p")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := record(0)
		for pb.Next() {
			a.Add(r)
		}
	})
}
