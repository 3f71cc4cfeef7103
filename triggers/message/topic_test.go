package message

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// hear has programs hear a topic each.
func (w *world) hear(program string, topics ...triggers.Topic) {
	w.t.Helper()
	w.declare(program, &triggers.Declaration{Topics: topics})
}

// serve serves PostTopic at /topics/{topic}.
func (w *world) serve() *http.Client {
	listener := fasthttputil.NewInmemoryListener()
	server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		w.trigger.PostTopic(ctx, strings.TrimPrefix(string(ctx.Path()), "/topics/"))
	}}
	ended := make(chan error)
	go func() { ended <- server.Serve(listener) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return listener.Dial() }}
	w.t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := errors.Join(server.Shutdown(), <-ended); err != nil {
			w.t.Error(err)
		}
	})
	return &http.Client{Transport: transport}
}

type answer struct {
	status   int
	header   http.Header
	ID       string
	Programs int
	Error    struct{ Code, Message, Hint string }
}

func postTo(t *testing.T, client *http.Client, topic, body string, header ...string) (a answer) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://node/topics/"+topic, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	a.status, a.header = response.StatusCode, response.Header
	return a
}

func TestTopics(t *testing.T) {
	w := newWorld(t, openDB(t, ""), queue.Options{Events: 3})
	client := w.serve()
	w.hear("a", triggers.Topic{Name: "orders", Topic: "orders.created"}, triggers.Topic{Name: "topic-2", Topic: "other"})
	w.hear("b", triggers.Topic{Name: "topic-1", Topic: "orders.created", Ordered: true})

	first := postTo(t, client, "orders.created", `{"n":1}`, "Content-Type", "application/json", "Idempotency-Key", "k1")
	if first.status != 202 || first.ID != "topic:orders.created:k1" || first.Programs != 2 {
		t.Errorf("answered %+v", first)
	}
	if again := postTo(t, client, "orders.created", `{"n":1}`, "Idempotency-Key", "k1"); again.status != 202 || again.ID != first.ID || again.Programs != 2 {
		t.Errorf("answered %+v", again)
	}
	other := postTo(t, client, "other", "x", "Idempotency-Key", "k1") // the key is the topic's
	if other.status != 202 || other.Programs != 1 {
		t.Errorf("answered %+v", other)
	}
	if got := w.queued("a"); len(got) != 2 || got[0] != first.ID || got[1] != other.ID {
		t.Errorf("a has %v", got)
	}
	if got := w.queued("b"); len(got) != 1 || got[0] != first.ID {
		t.Errorf("b has %v", got)
	}

	for _, test := range []struct {
		topic, body string
		header      []string
		status      int
		code, hint  string
	}{
		{"nobody", "x", nil, 404, "not_found", "--topic nobody"},
		{"a/b", "x", nil, 422, "invalid_argument", "letters, digits"},
		{"", "x", nil, 422, "invalid_argument", ""},
		{"other", "x", []string{"Idempotency-Key", strings.Repeat("k", 101)}, 422, "invalid_argument", ""},
		{"other", "x", []string{"Content-Type", strings.Repeat("k", 257)}, 422, "invalid_argument", ""},
		{"other", strings.Repeat("x", MaxBody+1), nil, 413, "body_too_large", ""},
		{"other", "x", []string{"CDN-Loop", "proxy", "CDN-Loop", "aleph-edge; depth=17"}, 422, "too_deep", "circles"},
	} {
		a := postTo(t, client, test.topic, test.body, test.header...)
		if a.status != test.status || a.Error.Code != test.code || !strings.Contains(a.Error.Hint, test.hint) {
			t.Errorf("%q answered %+v", test.topic, a)
		}
	}

	// a is full after one more; b has room for two.
	if a := postTo(t, client, "orders.created", "2"); a.status != 202 {
		t.Errorf("answered %+v", a)
	}
	full := postTo(t, client, "orders.created", "3")
	if full.status != 503 || full.Error.Code != "quota_exceeded" || full.header.Get("Retry-After") != "5" || !strings.HasPrefix(full.Error.Message, "1 of 2 programs") {
		t.Errorf("answered %+v", full)
	}
	key := strings.Fields(strings.TrimPrefix(full.Error.Hint, "post it again with Idempotency-Key: "))[0]
	key = strings.TrimSuffix(key, ";")
	if err := errors.Join(w.queue.Drop("a"), w.queue.Pause("a")); err != nil {
		t.Fatal(err)
	}
	if a := postTo(t, client, "orders.created", "3", "Idempotency-Key", key); a.status != 202 || a.Programs != 2 {
		t.Errorf("answered %+v", a)
	}
	if len(w.queued("a")) != 1 || stats(t, w, "b").Pending != 3 {
		t.Errorf("a has %v, b %d", w.queued("a"), stats(t, w, "b").Pending)
	}

	if s := w.trigger.List("b"); len(s) != 1 || s[0].Kind != "topic" || s[0].Spec != "orders.created" || s[0].Name != "topic-1" || !s[0].Last.Equal(w.now) {
		t.Errorf("status %+v", s)
	}
	w.hear("b", triggers.Topic{Name: "topic-1", Topic: "another"})
	if err := w.trigger.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if a := postTo(t, client, "orders.created", "4"); a.status != 404 {
		t.Errorf("answered %+v", a)
	}
	if len(w.trigger.topics.programs) != 1 {
		t.Errorf("topics %v are left", w.trigger.topics.programs)
	}
}

func stats(t testing.TB, w *world, program string) queue.Stats {
	t.Helper()
	s, err := w.queue.Stats(program)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPostForm: what was posted arrives as it was, also at more programs than one Accept takes.
func TestPostForm(t *testing.T) {
	w := newWorld(t, openDB(t, ""), queue.Options{})
	ran := make(chan *queue.Delivery, 100)
	w.run = func(d *queue.Delivery) queue.Outcome {
		ran <- d
		return queue.Acknowledge(nil)
	}
	const programs = 5
	for i := range programs {
		w.hear(fmt.Sprint("p", i), triggers.Topic{Name: "in", Topic: "big", Ordered: true})
	}
	body := []byte(strings.Repeat("\x00\xff", MaxBody/2))
	receipt, err := w.trigger.Post(t.Context(), "big", "application/x-thing; a=b", body, "", 7)
	if err != nil || fmt.Sprint(receipt.Programs) != "[p0 p1 p2 p3 p4]" {
		t.Fatalf("%+v, %v", receipt, err)
	}
	for range programs {
		d := <-ran
		if d.ID != receipt.ID || d.Kind != abi.KindTopic || d.Trigger != "in" || d.Key != "topic:big" || d.Depth != 7 {
			t.Errorf("event %+v", d.Event)
		}
		form, err := w.trigger.Form(t.Context(), d)
		if err != nil || form.ContentType != "application/x-thing; a=b" || string(form.Body) != string(body) {
			t.Errorf("form %s of %d bytes, %v", form.ContentType, len(form.Body), err)
		}
		if len(form.Details) != 1 || form.Details[0].Name != "topic" || string(form.Details[0].JSON) != `"big"` {
			t.Errorf("details %+v", form.Details)
		}
	}
}

func FuzzDecodePost(f *testing.F) {
	f.Add(post{"topic", "text/plain", []byte("body")}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePost(b)
		if err != nil {
			return
		}
		again, err := decodePost(p.encode())
		if err != nil || again.topic != p.topic || again.contentType != p.contentType || string(again.body) != string(p.body) {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}
