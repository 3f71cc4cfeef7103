package network

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/aleph-edge/aleph-edge/kv"
)

// TestFind compares what queries find with what looking at every message does.
func TestFind(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	other, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	one := func(values ...string) string { return values[random.IntN(len(values))] }
	type message struct {
		*Message
		post Post
		tags []string
	}
	var all []message
	for i := range 300 {
		key := w.key
		if random.IntN(3) == 0 {
			key = other
		}
		tags := []string{one("a", "b"), one("b", "c")}
		inner, err := json.Marshal(map[string]any{"n": i, "tags": tags})
		if err != nil {
			t.Fatal(err)
		}
		post := Post{Type: one("chat", "note"), Address: Address(key), Time: w.now(), Ref: one("", "x", "y"), Content: inner}
		m, err := Sign(key, TypePost, post, Options{Channel: one("", "A", "B"), Chain: one("ETH", "BASE"), Time: worldTime.Add(-time.Duration(random.IntN(100)) * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		w.accept(m, StatusProcessed)
		all = append(all, message{m, post, tags})
	}
	aggregate := w.sign(TypeAggregate, &Aggregate{Address: Address(w.key), Key: "k", Time: w.now(), Content: map[string]json.RawMessage{"a": []byte("1")}})
	w.accept(aggregate, StatusProcessed)

	some := func(values ...string) []string {
		if random.IntN(3) > 0 {
			return nil
		}
		random.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		return values[:1+random.IntN(len(values))]
	}
	for range 2000 {
		q := &Query{
			Hashes:  some(all[random.IntN(len(all))].ItemHash, all[random.IntN(len(all))].ItemHash, HashContent("none")),
			Senders: some(strings.ToLower(Address(w.key)), Address(other), "0x00"), Owners: some(Address(w.key)), Channels: some("A", "B", "C"),
			Chains: some("ETH", "BASE"), Refs: some("x", "y", "z"), Kinds: some("chat", "note"), Tags: some("a", "c"),
			OldFirst: random.IntN(2) == 0, Skip: random.IntN(5), Limit: 1 + random.IntN(20),
		}
		if random.IntN(4) > 0 { // otherwise the AGGREGATE matches, too, if nothing but its type speaks against it
			q.Types = []Type{TypePost}
		} else {
			q.Kinds = []string{"chat"}
		}
		if random.IntN(3) == 0 {
			q.From = worldTime.Add(-time.Duration(random.IntN(100)) * time.Second)
		}
		if random.IntN(3) == 0 {
			q.Until = worldTime.Add(-time.Duration(random.IntN(100)) * time.Second)
		}
		has := func(values []string, value string) bool {
			return len(values) == 0 || slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, value) })
		}
		var want []string
		for _, m := range all {
			at := fromUnixSeconds(m.Time)
			if has(q.Hashes, m.ItemHash) && has(q.Senders, m.Sender) && has(q.Owners, m.post.Address) && has(q.Channels, m.Channel) &&
				has(q.Chains, m.Chain) && has(q.Refs, m.post.Ref) && has(q.Kinds, m.post.Type) && !at.Before(q.From) && (q.Until.IsZero() || at.Before(q.Until)) &&
				(has(q.Tags, m.tags[0]) || has(q.Tags, m.tags[1])) {
				want = append(want, stamp(at)+"/"+m.ItemHash)
			}
		}
		slices.Sort(want)
		if !q.OldFirst {
			slices.Reverse(want)
		}
		total := len(want)
		want = want[min(q.Skip, total):min(q.Skip+q.Limit, total)]
		found, err := w.node.Find(q)
		if err != nil || !found.Stopped.IsZero() {
			t.Fatalf("%+v: %v, %v", q, found.Stopped, err)
		}
		var got []string
		for _, r := range found.Messages {
			got = append(got, stamp(fromUnixSeconds(r.Message.Time))+"/"+r.Message.ItemHash)
		}
		if found.Total != total || !slices.Equal(got, want) {
			t.Fatalf("%+v: %d of %d, want %d of %d\n%v\n%v", q, len(got), found.Total, len(want), total, got, want)
		}
	}

	// A forgotten message is not found any more.
	gone := all[slices.IndexFunc(all, func(m message) bool { return m.Sender == Address(w.key) })].Message
	w.accept(w.forget(gone.ItemHash), StatusProcessed)
	for _, q := range []*Query{{Hashes: []string{gone.ItemHash}, Limit: 1}, {Senders: []string{gone.Sender}, Limit: 1000}, {Limit: 1000}} {
		found, err := w.node.Find(q)
		if err != nil || slices.ContainsFunc(found.Messages, func(r *Record) bool { return r.Message.ItemHash == gone.ItemHash }) {
			t.Errorf("%+v finds a forgotten message, %v", q, err)
		}
	}
}

// TestLists asks for lists as clients do.
func TestLists(t *testing.T) {
	s := newServer(t, HandlerOptions{}, false)
	owner := Address(s.key)
	post := func(at int, content *Post) *Message {
		content.Address, content.Time = owner, s.now()
		m, err := Sign(s.key, TypePost, content, Options{Channel: "TEST", Time: worldTime.Add(time.Duration(at-100) * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		s.accept(m, StatusProcessed)
		return m
	}
	first := post(0, &Post{Type: "chat", Ref: "room", Content: []byte(`{"text":"one","tags":["t"]}`)})
	post(1, &Post{Type: "amend", Ref: first.ItemHash, Content: []byte(`{"text":"two"}`)})
	amend := post(3, &Post{Type: "amend", Ref: first.ItemHash, Content: []byte(`{"text":"three"}`)})
	post(2, &Post{Type: "amend", Ref: first.ItemHash, Content: []byte(`{"text":"late"}`)})
	second := post(4, &Post{Type: "note", Content: []byte(`"plain"`)})
	for _, key := range []string{"profile", "settings"} {
		s.accept(s.sign(TypeAggregate, &Aggregate{Address: owner, Key: key, Time: s.now(), Content: map[string]json.RawMessage{"name": []byte(`"x"`)}}), StatusProcessed)
	}
	get := func(path string, status int) map[string]any {
		t.Helper()
		return s.send("GET", path, "", nil, status)
	}
	hashes := func(answer map[string]any, list string) (all []string) {
		for _, m := range answer[list].([]any) {
			all = append(all, m.(map[string]any)["item_hash"].(string))
		}
		return all
	}

	answer := get("/api/v0/messages.json", 200)
	if answer["pagination_total"] != 7.0 || answer["pagination_page"] != 1.0 || answer["pagination_per_page"] != 20.0 || answer["pagination_item"] != "messages" ||
		answer["time"] == 0.0 || answer["stopped_at"] != nil || len(answer["messages"].([]any)) != 7 {
		t.Errorf("answered %v", answer)
	}
	answer = get("/api/v0/messages.json?msgTypes=POST,STORE&contentTypes=chat,note&tags=t,u&channels=TEST&sortOrder=1&addresses="+strings.ToLower(owner), 200)
	if got := hashes(answer, "messages"); len(got) != 1 || got[0] != first.ItemHash {
		t.Errorf("answered %v", answer)
	}
	m := answer["messages"].([]any)[0].(map[string]any)
	content := m["content"].(map[string]any)
	if m["item_content"] != first.ItemContent || content["ref"] != "room" || m["confirmed"] != false || m["size"] != float64(len(first.ItemContent)) || m["signature"] != first.Signature {
		t.Errorf("message %v", m)
	}
	if got := hashes(get("/api/v0/messages.json?msgType=POST&pagination=2&page=2", 200), "messages"); len(got) != 2 || got[1] == amend.ItemHash || got[0] == second.ItemHash {
		t.Errorf("page 2 is %v", got)
	}
	if got := hashes(get("/api/v0/messages.json?msgType=POST&pagination=1", 200), "messages"); len(got) != 1 || got[0] != second.ItemHash {
		t.Errorf("the newest is %v", got)
	}
	from := fmt.Sprint(worldTime.Unix() - 97)
	if got := hashes(get("/api/v0/messages.json?msgType=POST&startDate="+from+"&endDate="+fmt.Sprint(worldTime.Unix()-96), 200), "messages"); len(got) != 1 || got[0] != amend.ItemHash {
		t.Errorf("in that second: %v", got)
	}
	for _, query := range []string{"page=x", "startDate=-1", "startDate=5&endDate=4", "pagination=NaN", "hashes=" + strings.Repeat(",", 1000)} {
		get("/api/v0/messages.json?"+query, 422)
	}
	get("/api/v0/messages.json?page=999999999&pagination=0&unknown=1", 200)

	answer = get("/api/v0/posts.json", 200)
	if got := hashes(answer, "posts"); answer["pagination_total"] != 2.0 || len(got) != 2 || got[0] != second.ItemHash || got[1] != amend.ItemHash {
		t.Errorf("answered %v", answer)
	}
	p := get("/api/v0/posts.json?types=chat&hashes="+first.ItemHash, 200)["posts"].([]any)[0].(map[string]any)
	if p["content"].(map[string]any)["text"] != "three" || p["type"] != "amend" || p["original_type"] != "chat" || p["hash"] != first.ItemHash ||
		p["original_item_hash"] != first.ItemHash || p["ref"] != "room" || p["address"] != owner || p["sender"] != owner {
		t.Errorf("post %v", p)
	}

	answer = get("/api/v0/aggregates/"+owner+".json", 200)
	if data := answer["data"].(map[string]any); answer["address"] != owner || len(data) != 2 || data["profile"].(map[string]any)["name"] != "x" {
		t.Errorf("answered %v", answer)
	}
	if data := get("/api/v0/aggregates/"+owner+".json?keys=settings,none", 200)["data"].(map[string]any); len(data) != 1 || data["settings"] == nil {
		t.Errorf("answered %v", data)
	}
	get("/api/v0/aggregates/"+owner+".json?keys=none", 404)
	get("/api/v0/aggregates/0x00.json", 404)
}

// TestFindEffort: a query that would have to look at too much stops, and says where.
func TestFindEffort(t *testing.T) {
	w := newWorld(t, NodeOptions{})
	const many = effort + 1000
	for first := 0; first < many; first += 1000 {
		if err := w.db.GroupUpdate(func(tx *kv.Txn) error {
			for i := first; i < first+1000; i++ {
				m := &Message{Time: float64(1_700_000_000 + i), ItemHash: HashContent(fmt.Sprint(i))}
				if err := tx.Set(timeKey(m), []byte(TypeStore)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	found, err := w.node.Find(&Query{Types: []Type{TypePost}, OldFirst: true, Limit: 1})
	if err != nil || found.Total != 0 || !found.Stopped.Equal(time.Unix(1_700_000_000+effort, 0)) {
		t.Errorf("%+v, %v", found, err)
	}
	found, err = w.node.Find(&Query{Types: []Type{TypePost}, From: found.Stopped, OldFirst: true, Limit: 1})
	if err != nil || !found.Stopped.IsZero() {
		t.Errorf("%+v, %v", found, err)
	}
}
