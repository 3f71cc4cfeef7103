package node

import (
	"encoding/json"
	"math/big"
	"testing"
)

// usageRecord is what of a record the totals are made of, and what says where it belongs.
type usageRecord struct {
	Invocation    string `json:"invocation_id"`
	Program       string `json:"program"`
	CodeRef       string `json:"code_ref"`
	Owner         string `json:"owner"`
	Node          string `json:"node"`
	Trigger       struct{ Type string }
	Attempt       int         `json:"attempt"`
	Queued        int64       `json:"queued"`
	Started       int64       `json:"started"`
	Ended         int64       `json:"ended"`
	Wall          int64       `json:"wall_ns"`
	CPU           int64       `json:"cpu_ns"`
	MemoryLimit   int64       `json:"memory_limit"`
	MemoryPeak    int64       `json:"memory_peak"`
	RequestBytes  int64       `json:"request_bytes"`
	ResponseBytes int64       `json:"response_bytes"`
	EgressBytes   int64       `json:"egress_bytes"`
	StoreReads    int64       `json:"store_reads"`
	StoreWrites   int64       `json:"store_writes"`
	LogBytes      int64       `json:"log_bytes"`
	Status        int         `json:"status"`
	ErrorClass    string      `json:"error_class"`
	GBSeconds     json.Number `json:"gb_seconds"`
}

// usageReport is the answer of /usage, its decimals as they are written.
type usageReport struct {
	Invocations int64         `json:"invocations"`
	Errors      int64         `json:"errors"`
	GBSeconds   json.Number   `json:"gb_seconds"`
	CPUMillis   json.Number   `json:"cpu_ms"`
	WallMillis  json.Number   `json:"wall_ms"`
	EgressBytes int64         `json:"egress_bytes"`
	StoreOps    int64         `json:"store_ops"`
	Records     []usageRecord `json:"records"`
}

// TestUsage calls a program in all ways; the totals are exactly the sum of the records, and say what happened.
func TestUsage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := w.deploy(deployment{name: "used", memory: 256, timeout: 1, source: `export default async (req, { aleph }) => {
		switch (req.path) {
			case '/throw': throw new Error('no');
			case '/loop': for (;;);
			case '/store': await aleph.store.set('k', 'v'); await aleph.store.get('k'); await aleph.store.list(); await aleph.store.increment('n'); await aleph.store.delete('k'); return 'five';
			case '/wait': await new Promise((done) => setTimeout(done, 100)); return 'waited';
			case '/compute': { const end = Date.now() + 100; while (Date.now() < end); return 'computed'; }
			case '/log': console.log('x'.repeat(1000)); return 'logged';
			case '/own-error': return { status: 500, headers: {}, body: 'mine' };
			case '/large': return 'x'.repeat(100000);
		}
		return 'hello';
	}`})
	paths := []string{"/", "/throw", "/loop", "/store", "/wait", "/compute", "/log", "/own-error", "/large", "/"}
	if none := p.usage(5).Records; none == nil || len(none) != 0 || p.usage(0).Records != nil {
		t.Errorf("before the first call the records are %v", none)
	}
	ids := map[string]string{}
	for _, path := range paths {
		ids[p.do("POST", p.url(path), "a body").header.Get("Aleph-Request-Id")] = path
	}
	report := func() (r usageReport) {
		u, err := json.Marshal(p.usage(0))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(u, &r); err != nil {
			t.Fatal(err)
		}
		for _, raw := range p.usage(1000).Records {
			var record usageRecord
			if err := json.Unmarshal(raw, &record); err != nil {
				t.Fatal(err)
			}
			r.Records = append(r.Records, record)
		}
		return r
	}
	p.await("the records", func() bool { return p.usage(0).Invocations == int64(len(paths)) })
	r := report()
	if len(r.Records) != len(paths) {
		t.Fatalf("%d records", len(r.Records))
	}
	var errors, egress, ops, wall, cpu int64
	gb := new(big.Rat)
	for _, record := range r.Records {
		path, known := ids[record.Invocation]
		if !known || record.Program != p.id || record.CodeRef != p.store || record.Node != w.node.ID() || record.Owner == "" || record.Trigger.Type != "http" || record.Attempt != 1 {
			t.Errorf("a record is %+v", record)
		}
		if record.Queued == 0 || record.Started < record.Queued || record.Ended < record.Started || record.Wall <= 0 || record.CPU <= 0 || record.CPU > record.Wall+5e6 {
			t.Errorf("%s: the times are %+v", path, record)
		}
		if record.MemoryLimit != 256<<20 || record.MemoryPeak < 1<<20 || record.MemoryPeak > record.MemoryLimit || record.RequestBytes < int64(len("a body")) {
			t.Errorf("%s: the sizes are %+v", path, record)
		}
		switch path {
		case "/throw":
			if record.Status != 500 || record.ErrorClass != "exception" {
				t.Errorf("%s: %+v", path, record)
			}
		case "/loop":
			if record.Status != 504 || record.ErrorClass != "timeout" || record.Wall < 1e9 {
				t.Errorf("%s: %+v", path, record)
			}
		case "/store":
			if record.StoreReads != 2 || record.StoreWrites != 3 {
				t.Errorf("%s: %+v", path, record)
			}
		case "/wait":
			if record.Wall < 100e6 || record.CPU > 90e6 {
				t.Errorf("%s: %+v", path, record)
			}
		case "/compute":
			if record.CPU < 1e6 || record.Wall < 98e6 { // its clock has milliseconds
				t.Errorf("%s: %+v", path, record)
			}
		case "/log":
			if record.LogBytes < 1000 {
				t.Errorf("%s: %+v", path, record)
			}
		case "/own-error":
			if record.Status != 500 || record.ErrorClass != "" {
				t.Errorf("%s: %+v", path, record)
			}
		case "/large":
			if record.ResponseBytes != 100000 || record.EgressBytes != 100000 {
				t.Errorf("%s: %+v", path, record)
			}
		}
		if record.ErrorClass != "" {
			errors++
		}
		egress += record.EgressBytes
		ops += record.StoreReads + record.StoreWrites
		wall += record.Wall
		cpu += record.CPU
		one, ok := new(big.Rat).SetString(record.GBSeconds.String())
		if want := big.NewRat(record.Wall, 4e9); !ok || one.Cmp(want) != 0 { // 256 MiB
			t.Errorf("%s: gb_seconds is %s, want %v", path, record.GBSeconds, want)
		}
		gb.Add(gb, one)
	}
	if r.Invocations != int64(len(paths)) || r.Errors != errors || r.EgressBytes != egress || r.StoreOps != ops {
		t.Errorf("the totals are %+v; the records give %d errors, %d bytes, %d operations", r, errors, egress, ops)
	}
	if errors != 2 || ops != 5 {
		t.Errorf("%d errors and %d operations, want 2 and 5", errors, ops)
	}
	near(t, "wall_ms", r.WallMillis, big.NewRat(wall, 1e6))
	near(t, "cpu_ms", r.CPUMillis, big.NewRat(cpu, 1e6))
	near(t, "gb_seconds", r.GBSeconds, gb)

	w.restart()
	if again := report(); again.Invocations != r.Invocations || again.WallMillis != r.WallMillis || again.GBSeconds != r.GBSeconds || again.StoreOps != r.StoreOps {
		t.Errorf("before the restart %+v, after it %+v", r, again)
	}
}

// near compares a total that went through a float64 of the client with the exact sum.
func near(t *testing.T, name string, total json.Number, want *big.Rat) {
	t.Helper()
	got, ok := new(big.Rat).SetString(total.String())
	if !ok {
		t.Fatalf("%s: %q", name, total)
	}
	off, _ := new(big.Rat).Sub(got, want).Float64()
	if off > 1e-9 || off < -1e-9 {
		t.Errorf("%s is %s, the records give %s", name, total, want.FloatString(12))
	}
}
