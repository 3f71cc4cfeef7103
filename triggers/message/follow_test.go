package message

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

func TestFollow(t *testing.T) {
	w := newWorld(t, openDB(t, ""), queue.Options{})
	w.post("A", "note", 0) // before anyone listens
	a := w.set("a", map[string]any{"channel": "A"})
	every := w.set("every", map[string]any{})
	two := w.set("two", map[string]any{"content": map[string]any{"type": "chat"}}, map[string]any{"channel": "A"})
	w.follow()
	first := w.post("A", "chat", 1)
	second := w.post("B", "chat", 2)
	third := w.post("A", "note", 3)
	w.accept(third, 0) // again
	w.follow()
	w.want("a", first, third)
	w.want("every", first, second, third)
	w.want("two", first, second, third)

	s := w.status("a")
	if s.Name != "message-1" || s.Kind != "message" || s.Spec != `{"channel":"A"}` || s.State != "active" || s.Lag != 0 || s.Head != 4 || s.Last != w.now {
		t.Errorf("status %+v", s)
	}
	list := w.trigger.List("two")
	if len(list) != 2 || list[1].Name != "message-2" || !list[1].Last.Equal(w.now) {
		t.Errorf("status %+v", list)
	}

	// A restart goes on where it was; what comes meanwhile is not lost.
	declared := map[string]*triggers.Declaration{"a": a, "every": every, "two": two}
	fourth := w.post("A", "note", 4)
	w.restart(declared)
	w.follow()
	w.want("a", first, third, fourth)

	// New filters do not see what was before; nor does a program that had none in between.
	w.set("a", map[string]any{"channel": "B"})
	w.follow()
	w.want("a", first, third, fourth)
	w.declare("a", &triggers.Declaration{})
	fifth := w.post("B", "note", 5)
	w.follow()
	w.set("a", map[string]any{"channel": "B"})
	sixth := w.post("B", "note", 6)
	w.follow()
	w.want("a", first, third, fourth, sixth)
	w.want("every", first, second, third, fourth, fifth, sixth)

	for program := range declared {
		if err := w.trigger.Remove(program); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.trigger.index.filters) > 0 {
		t.Error("filters are left")
	}
	w.post("A", "note", 7)
	w.follow()
	w.want("a", first, third, fourth, sixth)
}

// TestForm: an event carries a hash, and the program sees the message.
func TestForm(t *testing.T) {
	w := newWorld(t, openDB(t, ""), queue.Options{})
	w.run = func(*queue.Delivery) queue.Outcome { return queue.Acknowledge(nil) }
	deliveries := make(chan *queue.Delivery, 10)
	w.run = func(d *queue.Delivery) queue.Outcome {
		deliveries <- d
		return queue.Acknowledge(nil)
	}
	d := declare(map[string]any{"type": "POST"})
	d.Messages[0].Name, d.Messages[0].Order = "posts", "content.type"
	w.declare("p", d)
	m := w.sign("A", "chat", map[string]any{"text": "<hi>"})
	w.accept(m, 2)
	w.follow()
	got := <-deliveries
	if got.Kind != abi.KindMessage || got.Trigger != "posts" || got.Key != "message:posts:chat" || got.Depth != 2 || string(got.Payload) != m.ItemHash {
		t.Errorf("event %+v", got.Event)
	}
	form, err := w.trigger.Form(t.Context(), got)
	if err != nil {
		t.Fatal(err)
	}
	var seen struct {
		network.Message
		Content struct {
			Type    string
			Content struct{ Text string }
		}
	}
	if err := json.Unmarshal(form.Body, &seen); err != nil {
		t.Fatal(err)
	}
	if form.ContentType != "application/json" || seen.Message != *m || seen.Content.Type != "chat" || seen.Content.Content.Text != "<hi>" {
		t.Errorf("form %s", form.Body)
	}
	if len(form.Details) != 0 {
		t.Errorf("details %+v", form.Details)
	}

	forget, err := network.Sign(w.key, network.TypeForget, network.Forget{Address: network.Address(w.key), Time: 1700000001, Hashes: []string{m.ItemHash}}, network.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.accept(forget, 0)
	if _, err := w.trigger.Form(t.Context(), got); !errors.Is(err, triggers.ErrGone) {
		t.Errorf("a forgotten message: %v", err)
	}
	w.follow() // a FORGET is none of the filter's
	select {
	case d := <-deliveries:
		t.Errorf("%+v", d.Event)
	case <-time.After(10 * time.Millisecond):
	}
}

// TestFanOut: a message that matches more programs than one Accept takes reaches each once, wherever the follower was stopped.
func TestFanOut(t *testing.T) {
	w := newWorld(t, openDB(t, ""), queue.Options{})
	const programs = 2500
	declared := map[string]*triggers.Declaration{}
	for i := range programs {
		declared[fmt.Sprintf("p%04d", i)] = w.set(fmt.Sprintf("p%04d", i), map[string]any{"channel": "A"})
	}
	m := w.post("A", "note", 1)
	another := w.post("A", "note", 2)

	// As if the process had died after the first Accept.
	messages, err := w.trigger.parse(0)
	if err != nil {
		t.Fatal(err)
	}
	h := &handout{t: w.trigger, at: w.trigger.read, wants: func(p *program, _ uint64) bool { return p.id < "p1000" },
		marks: func() map[*program]mark { return nil }, done: func() {}}
	h.checkpoint = func(tx *kv.Txn) error { return tx.Set(logKey, position{program: "p0999"}.encode()) }
	if _, err := h.hand(messages[:1]); err != nil {
		t.Fatal(err)
	}
	if err := h.flush(position{program: "p0999"}); err != nil {
		t.Fatal(err)
	}
	w.restart(declared)
	if w.trigger.read != (position{program: "p0999"}) {
		t.Fatalf("position %+v", w.trigger.read)
	}
	w.follow()
	for program := range declared {
		w.want(program, m, another)
	}
}

// TestManyForMany: a step ends in the midst of messages that match many programs, and the next goes on there.
func TestManyForMany(t *testing.T) {
	w := newWorld(t, openDB(t, ""), queue.Options{})
	const programs = 1700
	for i := range programs {
		w.set(fmt.Sprintf("p%04d", i), map[string]any{"channel": "A"})
	}
	var messages []*network.Message
	for i := range 6 {
		messages = append(messages, w.post("A", "note", i))
	}
	if _, err := w.trigger.step(); err != nil {
		t.Fatal(err)
	}
	if want := (position{2, "p0599"}); w.trigger.read != want {
		t.Errorf("after a step it is at %+v, want %+v", w.trigger.read, want)
	}
	w.follow()
	for i := range programs {
		w.want(fmt.Sprintf("p%04d", i), messages...)
	}
}

// TestBehind: a program whose queue is full gets its messages later, in order, while the others go on.
func TestBehind(t *testing.T) {
	w := newWorld(t, openDB(t, ""), queue.Options{Events: 10})
	ran := make(chan string, 1000)
	w.run = func(d *queue.Delivery) queue.Outcome {
		ran <- d.Program + " " + d.ID
		return queue.Acknowledge(nil)
	}
	declared := map[string]*triggers.Declaration{}
	for _, program := range []string{"a", "slow", "z"} {
		d := declare(map[string]any{"channel": "A"})
		d.Messages[0].Order = "sender"
		w.declare(program, d)
		declared[program] = d
	}
	if err := w.queue.Pause("slow"); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	hear := func(n int) {
		for range n {
			select {
			case line := <-ran:
				program, id, _ := strings.Cut(line, " ")
				got[program] = append(got[program], id)
			case <-time.After(20 * time.Second):
				t.Fatalf("nothing runs; got %d, %d and %d", len(got["a"]), len(got["slow"]), len(got["z"]))
			}
		}
	}
	var ids []string
	post := func(n, run int) {
		for range n {
			ids = append(ids, eventID(w.post("A", "note", len(ids)).ItemHash))
			w.follow()
			hear(run)
		}
	}
	post(25, 2) // the others get all of it
	s := w.status("slow")
	if s.State != "waiting" || !strings.Contains(s.Error, "limit 10") || s.Position != 10 || s.Lag != 15 {
		t.Errorf("status %+v", s)
	}
	w.restart(declared)
	if s := w.status("slow"); s.State != "behind" || s.Position != 10 {
		t.Errorf("status after a restart %+v", s)
	}
	if err := w.queue.Resume("slow"); err != nil {
		t.Fatal(err)
	}
	w.until("slow catches up", func() bool {
		w.now = w.now.Add(maxPause)
		w.follow()
		return w.status("slow").State == "active"
	})
	for len(got["slow"]) < 25 {
		hear(1)
	}
	post(5, 3)
	for program := range declared {
		if !slices.Equal(got[program], ids) {
			t.Errorf("%s got %d of %d, or in another order", program, len(got[program]), len(ids))
		}
	}
	if s := w.status("slow"); s.State != "active" || s.Error != "" || s.Lag != 0 {
		t.Errorf("status in the end %+v", s)
	}
}

// TestLost: the log is kept for those that are behind, up to a bound; what they cannot see any more is told.
func TestLost(t *testing.T) {
	w := newWorld(t, openDB(t, ""), queue.Options{Events: 5})
	w.behind = 700
	w.restart(nil)
	d := w.set("slow", map[string]any{"channel": "A"})
	w.set("other", map[string]any{"channel": "B"})
	const posted = 1400
	for i := range posted {
		w.post("A", "note", i)
	}
	w.follow()
	if err := errors.Join(w.queue.Drop("slow"), w.queue.Pause("slow")); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(maxPause)
	w.follow()
	s := w.status("slow")
	if s.Position != posted-700+5 || !strings.Contains(s.Error, fmt.Sprintf("too far behind to see %d messages", posted-700-5)) {
		t.Errorf("status %+v", s)
	}
	if some, err := w.network.Messages(0, 1); err != nil || some[0].Sequence != s.Position+1 && some[0].Sequence != posted-700+1 {
		t.Errorf("the log begins at %+v, %v", some, err)
	}
	w.restart(map[string]*triggers.Declaration{"slow": d})
	if after := w.status("slow"); after.Position != s.Position || !strings.Contains(after.Error, "too far behind") {
		t.Errorf("status after a restart %+v", after)
	}
}

// TestTrim: entries that everyone has seen go, and stale marks do not hold them.
func TestTrim(t *testing.T) {
	w := newWorld(t, openDB(t, ""), queue.Options{})
	for i := range 600 {
		w.post("A", "note", i)
	}
	w.follow() // nobody listens
	if some, err := w.network.Messages(0, 1); err != nil || len(some) != 0 {
		t.Errorf("%+v, %v", some, err)
	}
	w.set("p", map[string]any{"channel": "B"})
	w.set("gone", map[string]any{"channel": "B"})
	w.restart(map[string]*triggers.Declaration{"p": declare(map[string]any{"channel": "B"})})
	if err := w.trigger.sweep(); err != nil {
		t.Fatal(err)
	}
	m := w.post("B", "note", "B")
	for i := range 600 {
		w.post("A", "other", i)
	}
	w.follow()
	if some, err := w.network.Messages(0, 1); err != nil || len(some) == 1 && some[0].Sequence < 1201-trimAt {
		t.Errorf("%+v, %v", some, err)
	}
	w.want("p", m)
	w.want("gone")
	if _, marks, err := load(w.db); err != nil || len(marks) != 1 {
		t.Errorf("marks %v, %v", marks, err)
	}
}

// TestTooDeep: a message that comes from too many events reaches nobody, and that shows.
func TestTooDeep(t *testing.T) {
	w := newWorld(t, openDB(t, ""), queue.Options{MaxDepth: 3})
	w.set("a", map[string]any{"channel": "A"})
	w.set("b", map[string]any{})
	var want []*network.Message
	for depth := range uint32(6) {
		m := w.sign("A", "note", depth)
		w.accept(m, depth)
		if depth <= 3 {
			want = append(want, m)
		}
	}
	w.follow()
	w.want("a", want...)
	w.want("b", want...)
	if s := w.status("a"); s.State != "failed" || !strings.Contains(s.Error, "limit 3") {
		t.Errorf("status %+v", s)
	}
	w.post("A", "note", "fine")
	w.follow()
	if s := w.status("a"); s.State != "active" || s.Error != "" {
		t.Errorf("status %+v", s)
	}
}

// TestRun: the follower is woken by messages.
func TestRun(t *testing.T) {
	w := newWorld(t, openDB(t, ""), queue.Options{})
	w.set("p", map[string]any{"channel": "A"})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.trigger.Run(ctx) }()
	for i := range 5 {
		w.post("A", "note", i)
		w.until("it is queued", func() bool { return len(w.queued("p")) == i+1 })
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
