package broker

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want Source
	}{
		{"nats://host?stream=S&topic=orders", Source{Kind: "nats", Address: "host:4222", Topic: "orders", InFlight: 64, Stream: "S", Consumer: "aleph-orders"}},
		{"nats+tls://me:secret@host:1?stream=S&consumer=c&subject=a.>&topic=t&inflight=3&ca=f", Source{Kind: "nats", Address: "host:1", TLS: true, CA: "f", Topic: "t",
			InFlight: 3, Stream: "S", Consumer: "c", Subject: "a.>", user: "me", password: "secret"}},
		{"nats://token@[::1]:4222?stream=S&topic=t&credentials=f", Source{Kind: "nats", Address: "[::1]:4222", Topic: "t", InFlight: 64, Stream: "S",
			Consumer: "aleph-t", Credentials: "f", user: "token"}},
		{"mqtt://host/a/+/b?topic=t", Source{Kind: "mqtt", Address: "host:1883", Topic: "t", InFlight: 64, Filter: "a/+/b", QoS: 1}},
		{"mqtts://me:secret@host/a/#?topic=t&qos=0&client=c", Source{Kind: "mqtt", Address: "host:8883", TLS: true, Topic: "t", InFlight: 64, Filter: "a/#",
			Client: "c", user: "me", password: "secret"}},
	} {
		got, err := Parse(c.text)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v %q\nwant %+v %q: %v", c.text, got, reflect.ValueOf(got), c.want, reflect.ValueOf(c.want), err)
		}
		var logged strings.Builder
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "source", got)
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "source", got, "sources", []Source{got})
		for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&logged, form, got)
			fmt.Fprintf(&logged, form, &got)
			fmt.Fprintf(&logged, form, []Source{got})
		}
		if strings.Contains(logged.String(), "secret") || strings.Contains(logged.String(), "token") {
			t.Errorf("%s: %s", c.text, &logged)
		}
	}
}

var badSources = []string{"", "host", "http://secret@host?topic=t", "nats://:secret@", "nats:secret", "nats://u:secret@host?topic=t", "nats://u:secret@host?stream=s",
	"nats://u:secret@ho st?stream=s&topic=t", "nats://u:secret@host:p?stream=s&topic=t", "nats://u:secret@host/x?stream=s&topic=t",
	"nats://u:secret@host?stream=s&topic=t&inflight=0", "nats://u:secret@host?stream=s&topic=t&inflight=1001", "nats://u:secret@host?stream=s&topic=t&x=1",
	"nats://u:secret@host?stream=s&topic=t&topic=t", "nats://u:secret@host?stream=s&topic=a/b", "nats://u:secret@host?stream=s&topic=%zz",
	"nats://u:secret@host?stream=s.t&topic=t", "nats://u:secret@host?stream=s&topic=t&consumer=a%20b",
	"mqtt://u:secret@host?topic=t", "mqtt://u:secret@host/?topic=t", "mqtt://u:secret@host/a?topic=t&qos=2", "mqtt://u:secret@host/a?topic=t&stream=s"}

func TestParseRefuses(t *testing.T) {
	for _, text := range badSources {
		if s, err := Parse(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range badSources {
		f.Add(text)
	}
	f.Add("nats+tls://me:secret@host:1?stream=S&consumer=c&subject=a.>&topic=t&inflight=3&ca=f")
	f.Add("mqtts://me:secret@host/a/#?topic=t&qos=0&client=c")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err == nil && (s.Topic == "" || s.Address == "" || s.InFlight < 1 || s.InFlight > MaxInFlight) {
			t.Fatalf("%q: %v", text, s)
		}
	})
}
