package node

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// storeProgram deploys testdata/store.js.
func storeProgram(s *site, name string) program {
	s.Helper()
	source, err := os.ReadFile("testdata/store.js")
	if err != nil {
		s.Fatal(err)
	}
	return s.deploy(deployment{name: name, source: string(source), timeout: 30})
}

// perform has testdata/store.js perform operations, given as JSON.
func (p program) perform(path, operations string) []any {
	p.Helper()
	a := p.do("POST", p.url(path), operations, "Content-Type", "application/json")
	var results []any
	if err := json.Unmarshal([]byte(a.body), &results); err != nil || a.status != 200 {
		p.Fatalf("%s: %v", operations, a)
	}
	return results
}

// TestStore performs every operation. The results are those of docs, as JSON; a text that ends with "…" is a beginning.
func TestStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	for name, test := range map[string][][2]string{
		"set and get": {
			{`["set", {"key": "a", "value": {"name": "Alice", "visits": 5}}]`, `{"key": "a"}`},
			{`["get", "a"]`, `{"name": "Alice", "visits": 5}`},
			{`["set", "a", [1, "x", null, true]]`, `{"key": "a"}`},
			{`["get", "a"]`, `[1, "x", null, true]`},
			{`["get", "none"]`, `null`},
			{`["set", "null", null]`, `{"key": "null"}`},
			{`["get", "null"]`, `null`},
			{`["set", "b", {"bytes": [0, 255, 10]}]`, `{"key": "b"}`},
			{`["get", "b"]`, `{"bytes": [0, 255, 10]}`},
			{`["set", "ключ 😀", "ü"]`, `{"key": "ключ 😀"}`},
			{`["get", "ключ 😀"]`, `"ü"`},
		},
		"delete": {
			{`["set", "a", 1]`, `{"key": "a"}`},
			{`["delete", "a"]`, `true`},
			{`["delete", "a"]`, `false`},
			{`["get", "a"]`, `null`},
		},
		"list": {
			{`["set", "l/1", 1]`, `{"key": "l/1"}`},
			{`["set", "l/2", 2]`, `{"key": "l/2"}`},
			{`["increment", "l/3", 3]`, `3`},
			{`["set", "m", 0]`, `{"key": "m"}`},
			{`["list", {"prefix": "l/"}]`, `{"keys": ["l/1", "l/2", "l/3"], "entries": [{"key": "l/1", "value": 1}, {"key": "l/2", "value": 2}, {"key": "l/3", "value": 3}], "cursor": null}`},
			{`["list", {"prefix": "none"}]`, `{"keys": [], "entries": [], "cursor": null}`},
			{`["list", {"limit": 0}]`, `"TypeError: store: limit must be…"`},
			{`["list", {"cursor": "nonsense"}]`, `"invalid_argument: …"`},
		},
		"increment": {
			{`["increment", "n"]`, `1`},
			{`["increment", "n", 41]`, `42`},
			{`["increment", "n", -50]`, `-8`},
			{`["get", "n"]`, `-8`},
			{`["set", "j", 7]`, `{"key": "j"}`},
			{`["increment", "j", 1]`, `8`},
			{`["set", "t", "text"]`, `{"key": "t"}`},
			{`["increment", "t", 1]`, `"not_a_counter: …"`},
			{`["get", "t"]`, `"text"`},
			{`["increment", "n", 1.5]`, `"TypeError: store: by must be…"`},
			{`["increment", "big", 9007199254740991]`, `9007199254740991`},
		},
		"compareAndSet": {
			{`["compareAndSet", "c", null, {"v": 1}]`, `true`},
			{`["compareAndSet", "c", null, {"v": 2}]`, `false`},
			{`["compareAndSet", "c", {"v": 2}, {"v": 3}]`, `false`},
			{`["compareAndSet", "c", {"v": 1}, {"v": 3}]`, `true`},
			{`["get", "c"]`, `{"v": 3}`},
			{`["increment", "n", 5]`, `5`},
			{`["compareAndSet", "n", 5, 6]`, `true`},
			{`["get", "n"]`, `6`},
		},
		"ttl": {
			{`["set", {"key": "a", "value": 1, "ttl": 1}]`, `{"key": "a"}`},
			{`["set", "b", 2, {"ttl": 1}]`, `{"key": "b"}`},
			{`["set", "c", 3, {"ttl": 1000}]`, `{"key": "c"}`},
			{`["compareAndSet", "d", null, 4, {"ttl": 1}]`, `true`},
			{`["get", "a"]`, `1`},
			{`["sleep", 1100]`, `"slept"`},
			{`["get", "a"]`, `null`},
			{`["list"]`, `{"keys": ["c"], "entries": [{"key": "c", "value": 3}], "cursor": null}`},
			{`["compareAndSet", "d", null, 5]`, `true`},
			{`["set", "e", 1, {"ttl": 0}]`, `"TypeError: store: ttl (in seconds) must be a whole number from 1…"`},
			{`["set", "e", 1, {"ttl": 0.5}]`, `"TypeError: store: ttl (in seconds) must be a whole number from 1…"`},
			{`["set", "e", 1, {"ttl": 10000000000}]`, `"invalid_argument: ttl…"`},
		},
		"limits": {
			{`["set", "", 1]`, `"invalid_argument: key…"`},
			{`["set", 5, 1]`, `"TypeError: store: key must be a string…"`},
			{`["set", "` + strings.Repeat("k", 1024) + `", 1]`, `{"key": "` + strings.Repeat("k", 1024) + `"}`},
			{`["set", "` + strings.Repeat("k", 1025) + `", 1]`, `"invalid_argument: key: 1025 bytes, limit 1024…"`},
			{`["large", 1048574]`, `"large"`}, // with its quotes
			{`["large", 1048575]`, `"value_too_large: value: 1048577 bytes, limit 1048576…"`},
		},
		"quota": {
			{`["set", "early", 1]`, `{"key": "early"}`},
			{`["fill", 90]`, `"filled"`},
			{`["fill", 90, 1]`, `"filled"`},
			{`["fill", 90, 2]`, `"quota_exceeded: quota…268435456…"`},
			{`["get", "early"]`, `1`},
			{`["delete", "fill/0/0"]`, `true`},
			{`["set", "late", 1]`, `{"key": "late"}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.site
			s.TB = t
			p := storeProgram(&s, name)
			var operations []string
			for _, call := range test {
				operations = append(operations, call[0])
			}
			results := p.perform("", "["+strings.Join(operations, ",")+"]")
			for i, call := range test {
				var want any
				if err := json.Unmarshal([]byte(call[1]), &want); err != nil {
					t.Fatal(err)
				}
				if text, is := want.(string); is && strings.HasSuffix(text, "…") {
					got, _ := results[i].(string)
					for part := range strings.SplitSeq(text, "…") {
						if !strings.Contains(got, part) {
							t.Errorf("%.80s: got %.200v, want %s", call[0], results[i], text)
						}
					}
				} else if !reflect.DeepEqual(results[i], want) {
					t.Errorf("%.80s: got %.200v, want %s", call[0], results[i], call[1])
				}
			}
			empty := storeProgram(&s, name+", another")
			if got := empty.perform("", `[["list"]]`); !reflect.DeepEqual(got, []any{map[string]any{"keys": []any{}, "entries": []any{}, "cursor": nil}}) {
				t.Errorf("another program's store has %v", got)
			}
		})
	}
}

// TestStorePages lists more than a page.
func TestStorePages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := w.js("pages", `export default async (req, { aleph: { store } }) => {
		await Promise.all(Array.from({ length: 250 }, (_, i) => store.set('k' + String(i).padStart(3, '0'), i)));
		const keys = [], sizes = [];
		for (let cursor; cursor !== null;) { const page = await store.list({ prefix: 'k', cursor }); keys.push(...page.keys); sizes.push(page.keys.length); cursor = page.cursor; }
		return [keys.length, new Set(keys).size, keys[0], keys[249], ...sizes].join();
	}`)
	p.want("", 200, "250,250,k000,k249,100,100,50")
}

// TestStoreParallel has operations of one request run at once, and requests of many clients on one counter.
func TestStoreParallel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := storeProgram(&w.site, "parallel")
	var operations []string
	for i := range 100 {
		operations = append(operations, fmt.Sprintf(`["set", "k%d", %d]`, i, i), `["increment", "n"]`, `["sleep", 100]`)
	}
	if got := p.perform("/parallel", "["+strings.Join(operations, ",")+"]"); len(got) != 300 { // one after another it would take its whole timeout
		t.Errorf("%d results", len(got))
	}
	if got := p.perform("", `[["get", "n"], ["get", "k99"]]`); !reflect.DeepEqual(got, []any{100.0, 99.0}) {
		t.Errorf("got %v", got)
	}
	var clients sync.WaitGroup
	var seen sync.Map
	for range 8 {
		clients.Go(func() {
			for range 25 {
				a, err := p.request("POST", p.url(""), strings.NewReader(`[["increment", "shared"]]`), "Content-Type", "application/json")
				if _, twice := seen.LoadOrStore(a.body, true); err != nil || a.status != 200 || twice {
					t.Errorf("%v, %v, twice: %v", a, err, twice)
				}
			}
		})
	}
	clients.Wait()
	if got := p.perform("", `[["get", "shared"]]`); got[0] != 200.0 {
		t.Errorf("the counter is %v", got)
	}
}

// TestWatch has one request wait for what another writes.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := storeProgram(&w.site, "watch")
	for _, test := range []struct{ change, want string }{
		{`["set", "w/a", {"n": 1}]`, `{"key": "w/a", "value": {"n": 1}, "deleted": false}`},
		{`["increment", "w/n", 3]`, `{"key": "w/n", "value": 3, "deleted": false}`},
		{`["delete", "w/a"]`, `{"key": "w/a", "value": null, "deleted": true}`},
	} {
		watched := make(chan answer, 1)
		go func() {
			a, _ := p.request("POST", p.url(""), strings.NewReader(`[["watch", "w/"]]`), "Content-Type", "application/json")
			watched <- a
		}()
		w.counting("operations_waiting", 1)
		p.perform("", `[["set", "other", 1], `+test.change+`]`)
		var got []map[string]any
		var want map[string]any
		a := <-watched
		if json.Unmarshal([]byte(a.body), &got) != nil || json.Unmarshal([]byte(test.want), &want) != nil || len(got) != 1 {
			t.Fatal(a)
		}
		if _, has := got[0]["value"]; !has {
			got[0]["value"] = nil
		}
		if !reflect.DeepEqual(got[0], want) {
			t.Errorf("%s: got %v, want %s", test.change, a, test.want)
		}
	}
}

// TestStoreAtLoad uses the store before there is a request.
func TestStoreAtLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := w.js("keeps", `let kept; export default async (req, { aleph }) => { kept ??= aleph.store; return String(await kept.increment('n')); }`)
	p.want("", 200, "1")
	p.want("", 200, "2")
	w.restart()
	p.want("", 200, "3")
}
