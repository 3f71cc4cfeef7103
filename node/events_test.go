package node

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network"
)

// settle waits until a program has no events to deliver, and gives their counts.
func (p program) settle() client.EventCounts {
	p.Helper()
	for end := time.Now().Add(3 * patience); ; time.Sleep(10 * time.Millisecond) {
		t, err := p.api.Triggers(p.Context(), p.id)
		if err != nil {
			p.Fatal(err)
		}
		if e := t.Events; e.Pending+e.Running+e.Delayed == 0 {
			return e
		} else if time.Now().After(end) {
			p.Fatalf("its events do not end: %+v", t)
		}
	}
}

// results is what the program returned for its last events, the newest first, in JSON.
func (p program) results() (texts []string) {
	p.Helper()
	results, err := p.api.Results(p.Context(), p.id, 100)
	if err != nil {
		p.Fatal(err)
	}
	for _, r := range results {
		texts = append(texts, string(r.JSON))
	}
	return texts
}

// post posts to a topic.
func (s *site) post(topic, body string, header ...string) answer {
	s.Helper()
	return s.do("POST", "/api/v0/topics/"+topic, body, header...)
}

const jsCount = `export default async (req, { aleph, event }) => {
	if (event.kind === 'http') return { n: await aleph.store.get('n') ?? 0, runs: await aleph.store.get('runs') ?? 0 };
	return { n: await aleph.store.increment('n'), id: event.id, attempt: event.attempt };
}`

// TestEffectsOnce: what an attempt wrote is there exactly if its event has ended.
func TestEffectsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := w.deploy(deployment{name: "once", triggers: `{"topics":[{"topic":"a"}],"delivery":{"effects":"once","attempts":3,"backoff":0.01}}`,
		source: `export default async (req, { aleph, event }) => {
			const { store } = aleph;
			if (event.kind === 'http') return [await store.get('n'), await store.get('last'), await store.get('seen')];
			const n = await store.increment('n');
			await store.set({ key: 'last', value: { n, attempt: event.attempt } });
			if (await store.get('n') !== n) throw new Error('an own write is not seen');
			if (req.body === 'twice' && event.attempt < 3) throw new Error('not yet');
			if (req.body === 'never') throw new Error('never');
			if (req.body === 'loop') for (;;);
			return n;
		}`, timeout: 1})
	for _, body := range []string{"plain", "twice", "never", "loop", "plain"} {
		if a := w.post("a", body); a.status != 202 {
			t.Fatal(a)
		}
		p.settle()
	}
	if e := p.settle(); e.Acknowledged != 3 || e.DeadLetters != 2 || e.Failures != 8 {
		t.Errorf("%+v", e)
	}
	p.want("", 200, `[3,{"n":3,"attempt":1},null]`)
	if got := p.results(); !slices.Equal(got, []string{"3", "2", "1"}) {
		t.Error(got)
	}
}

// TestEffectsOnceTogether: events that read what others of them write do not lose it.
func TestEffectsOnceTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	p := w.deploy(deployment{name: "together", triggers: `{"topics":[{"topic":"a"}],"delivery":{"effects":"once","concurrency":4,"backoff":0.01}}`,
		source: `export default async (req, { aleph: { store }, event }) => {
			if (event.kind === 'http') return await store.get('list');
			const list = await store.get('list') ?? [];
			await new Promise((done) => setTimeout(done, 5));
			await store.set({ key: 'list', value: [...list, req.body] });
		}`})
	want := map[string]bool{}
	for i := range 12 {
		want[fmt.Sprint("e", i)] = true
		w.post("a", fmt.Sprint("e", i))
	}
	if e := p.settle(); e.Acknowledged != 12 || e.Failures != 0 {
		t.Errorf("%+v", e)
	}
	var list []string
	if err := json.Unmarshal([]byte(p.get("").body), &list); err != nil || len(list) != len(want) {
		t.Fatal(list, err)
	}
	for _, e := range list {
		delete(want, e)
	}
	if len(want) > 0 {
		t.Errorf("lost: %v", want)
	}
}

// TestKilledEvents kills a node again and again while events are posted and run. Every event that was accepted is counted exactly once.
func TestKilledEvents(t *testing.T) {
	t.Parallel()
	kills := 5
	if os.Getenv(longTests) != "" {
		kills = 200
	}
	n := newProcess(t)
	p := n.deploy(deployment{name: "killed", source: jsCount, triggers: `{"topics":[{"topic":"count"}],"delivery":{"effects":"once","backoff":0.01,"attempts":100}}`})
	accepted := 0
	next := 0
	var mu sync.Mutex
	for range kills {
		var posting sync.WaitGroup
		for range 4 {
			posting.Go(func() {
				for {
					mu.Lock()
					key := next
					next++
					mu.Unlock()
					var a answer
					for first := true; ; first = false { // one whose answer was lost is posted again, with its key, after the restart
						var err error
						if a, err = n.request("POST", "/api/v0/topics/count", strings.NewReader("x"), "Idempotency-Key", fmt.Sprint(key)); err == nil {
							break
						}
						mu.Lock()
						if first {
							next = min(next, key)
						}
						mu.Unlock()
						return
					}
					if a.status != 202 {
						t.Errorf("%v", a)
						return
					}
					mu.Lock()
					accepted = max(accepted, key+1)
					mu.Unlock()
				}
			})
		}
		time.Sleep(200 * time.Millisecond)
		n.kill()
		posting.Wait()
		n.start()
	}
	for key := range next + 4 { // all of them, whether or not their answers came
		if a := n.post("count", "x", "Idempotency-Key", fmt.Sprint(key)); a.status != 202 {
			t.Fatal(a)
		}
	}
	e := p.settle()
	if want := uint64(next + 4); e.Acknowledged != want || e.DeadLetters != 0 {
		t.Errorf("%d events: %+v", want, e)
	}
	p.want("", 200, fmt.Sprintf(`{"n":%d,"runs":0}`, next+4))
	if next < 10*kills {
		t.Errorf("only %d events in %d rounds", next, kills)
	}
}

// TestLoop: a program whose events make events of its own is stopped.
func TestLoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{AllowEgress: []string{"127.0.0.1"}})
	p := w.deploy(deployment{name: "loop", triggers: `{"topics":[{"topic":"loop"}]}`, source: `export default async (req, { aleph: { store } }) => {
		if (req.query.n) return await store.get('n');
		const n = await store.increment('n');
		const reply = await fetch(req.body, { method: 'POST', body: req.body, headers: { 'cdn-loop': 'other' } });
		return [n, reply.status, await reply.json()];
	}`})
	if a := w.post("loop", "http://"+w.address+"/api/v0/topics/loop"); a.status != 202 {
		t.Fatal(a)
	}
	p.settle()
	p.want("?n=1", 200, "17") // depths 0 to 16
	if got := p.results(); !strings.Contains(strings.Join(got, "\n"), "too_deep") {
		t.Error(got)
	}
	// The same by requests only.
	caller := w.js("caller", `export default async (req) => {
		const reply = await fetch(req.query.url + '?url=' + encodeURIComponent(req.query.url));
		return new Response(await reply.text(), { status: reply.status });
	}`)
	a := caller.get("?url=" + "http://" + w.address + caller.url(""))
	if a.status != 508 || a.fault(t).Code != "loop_detected" {
		t.Error(a)
	}
}

// TestMessageLoop: a program whose own messages run it is stopped, and its trigger says why.
func TestMessageLoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{AllowEgress: []string{"127.0.0.1"}})
	var messages []*network.Message // that the program posts, one after the other
	for n := range 30 {
		m, err := network.Sign(w.owner, network.TypePost, network.Post{Type: "loop", Address: network.Address(w.owner), Time: messageTime(), Content: raw(t, n)}, network.Options{Channel: "LOOP"})
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	p := w.deploy(deployment{name: "loop", on: network.On{Message: []map[string]any{{"channel": "LOOP"}}}, source: `const messages = ` + string(raw(t, messages)) + `;
		export default async (req, { aleph: { store }, event }) => {
			if (event.kind === 'http') return await store.get('n');
			await store.increment('n');
			const next = messages[event.message.content.content + 1];
			const reply = await fetch('http://` + w.address + `/api/v0/messages', { method: 'POST', body: JSON.stringify({ sync: true, message: next }), headers: { 'content-type': 'application/json' } });
			return [reply.status, await reply.text()];
		}`})
	if err := w.api.Publish(t.Context(), messages[0]); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		state, err := p.api.Triggers(t.Context(), p.id)
		if err != nil {
			t.Fatal(err)
		}
		if len(state.Triggers) == 1 && strings.Contains(state.Triggers[0].Error, "depth") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v: %v", state, p.results())
		}
	}
	p.settle()
	p.want("", 200, "17") // depths 0 to 16
}

// TestEventLanguages: every language has the event in its own words, and answers with a result.
func TestEventLanguages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	for _, d := range []deployment{
		{name: "javascript", source: `export default (req, context) => [context.event.kind, context.event.topic, context.event.attempt, context.event.trigger, req.method, req.body]`},
		{name: "python", runtime: "python3.11", source: `
def handler(req, context):
    event = context.event
    return [event['kind'], event['topic'], event['attempt'], event['trigger'], req.method, req.body]`},
	} {
		d.triggers = `{"topics":[{"name":"t","topic":"` + d.name + `"}]}`
		p := w.deploy(d)
		if a := w.post(d.name, `{"a":1}`, "Content-Type", "application/json"); a.status != 202 {
			t.Fatal(a)
		}
		p.settle()
		want := `["topic","` + d.name + `",1,"t","POST",{"a":1}]`
		if got := p.results(); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %s", d.name, got, want)
		}
	}
}

// TestMessageEvents: a message that matches a filter runs the program; one that does not match runs nothing, nor does one from before.
func TestMessageEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	post := func(channel string, content map[string]any) *network.Message {
		m, err := network.Sign(w.owner, network.TypePost, network.Post{Type: "test", Address: network.Address(w.owner), Time: messageTime(), Content: raw(t, content)},
			network.Options{Channel: channel})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.api.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	post("TEST", map[string]any{"n": 0})
	p := w.deploy(deployment{name: "messages", on: network.On{Message: []map[string]any{{"channel": "TEST", "content": map[string]any{"content": map[string]any{"n": []any{1.0, 2.0}}}}}},
		source: `export default (req, { event }) => [event.id, event.message === req.body, req.body.channel, req.body.content.content.n]`})
	post("OTHER", map[string]any{"n": 1})
	post("TEST", map[string]any{"n": 3})
	m := post("TEST", map[string]any{"n": 2})
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		got := p.results()
		if len(got) == 0 && time.Now().Before(end) {
			continue
		}
		if len(got) != 1 || !strings.Contains(got[0], m.ItemHash) || !strings.HasSuffix(got[0], `,true,"TEST",2]`) {
			t.Error(got)
		}
		return
	}
}

func raw(t *testing.T, v any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestBroker: a message of a broker runs a program, and is acknowledged when that has handled it.
func TestBroker(t *testing.T) {
	t.Parallel()
	server, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(func() {
		server.Shutdown()
		server.WaitForShutdown()
	})
	if !server.ReadyForConnections(patience) {
		t.Fatal("NATS does not start")
	}
	connection, err := nats.Connect(server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	streams, err := jetstream.New(connection)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := streams.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}, Retention: jetstream.WorkQueuePolicy})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Config{Brokers: []string{server.ClientURL() + "?stream=ORDERS&topic=orders"}})
	p := w.deploy(deployment{name: "orders", triggers: `{"topics":[{"topic":"orders"}],"delivery":{"backoff":0.01}}`, source: `export default (req, { event }) => {
		if (event.attempt < 2) throw new Error('once more');
		return [event.topic, req.body, event.attempt];
	}`})
	if _, err := streams.Publish(t.Context(), "orders.new", []byte("seven")); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(3 * patience); ; time.Sleep(20 * time.Millisecond) {
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := p.results(); len(got) == 1 && got[0] == `["orders","seven",2]` && info.State.Msgs == 0 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%v, %d messages left", got, info.State.Msgs)
		}
	}
	if c := w.counters(); c["brokers_connected"] != 1 {
		t.Error(c)
	}
}
