package logs

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFollow(t *testing.T) {
	l := open(t, t.TempDir(), quiet)
	l.Append("p", entry("0"), entry("1"))
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	l.Append("p", entry("2"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	all, err := l.Follow(ctx, "p", 100)
	if err != nil {
		t.Fatal(err)
	}
	two, err := l.Follow(context.Background(), "p", 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := 3; i < 6; i++ {
		l.Append("p", entry(fmt.Sprint(i)))
		l.Append("q", entry("of q"))
	}
	read := func(c <-chan Entry, from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if e, ok := <-c; !ok || e.Message != fmt.Sprint(i) {
				t.Fatalf("%+v, %t, want %d", e, ok, i)
			}
		}
	}
	read(all, 0, 6)
	read(two, 1, 6)
	cancel()
	if e, ok := <-all; ok {
		t.Errorf("after the context's end: %+v", e)
	}
	l.Append("p", entry("6"))
	shut(t, l)
	read(two, 6, 7)
	if e, ok := <-two; ok {
		t.Errorf("after Close: %+v", e)
	}
	late, err := l.Follow(context.Background(), "p", 1)
	if err != nil {
		t.Fatal(err)
	}
	read(late, 6, 7)
	if e, ok := <-late; ok {
		t.Errorf("opened after Close: %+v", e)
	}
}

// TestSlowFollower: it is told of what it lost where it lost it, also if nothing comes after that.
func TestSlowFollower(t *testing.T) {
	l := open(t, t.TempDir(), Options{FollowBuffer: 4, FlushEvery: time.Millisecond})
	c, err := l.Follow(context.Background(), "p", 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		l.Append("p", entry(fmt.Sprint(i)))
	}
	var got []string
	for range 5 {
		got = append(got, (<-c).Message)
	}
	l.Append("p", entry("10"))
	got = append(got, (<-c).Message)
	want := append(numbers(0, 4), "log: 6 entries lost, the reader was too slow", "10")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestFollowerOfOne has no room for an entry behind the one that tells of the loss.
func TestFollowerOfOne(t *testing.T) {
	f := &follower{c: make(chan Entry, 1)}
	for i := range 3 {
		f.push(entry(fmt.Sprint(i)))
	}
	if e := <-f.c; e.Message != "0" {
		t.Errorf("%+v", e)
	}
	f.tell()
	f.tell()
	if e := <-f.c; !strings.HasPrefix(e.Message, "log: 2 entries lost") {
		t.Errorf("%+v", e)
	}
	f.push(entry("3"))
	if e := <-f.c; e.Message != "3" {
		t.Errorf("%+v", e)
	}
}

// TestBlockedSink: a terminal that is stopped holds up neither Append nor Close, and hears what it missed.
func TestBlockedSink(t *testing.T) {
	const missed = 10
	release, ended := make(chan struct{}), make(chan struct{})
	var programs, got []string
	l, err := Open(t.TempDir(), Options{FlushEvery: time.Hour, Sink: func(program string, e Entry) {
		<-release
		programs, got = append(programs, program), append(got, e.Message)
	}})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(ended)
		<-l.sinkGone
	}()
	l.Append("p", entry("0"))
	for len(l.sink) > 0 { // until the sink has it
		time.Sleep(time.Millisecond)
	}
	for i := 1; i <= sinkBuffer+missed; i++ {
		l.Append("p", entry(fmt.Sprint(i)))
	}
	shut(t, l)
	close(release)
	<-ended
	want := append([]string{"0", fmt.Sprintf("log: %d entries lost, the terminal was too slow", missed)}, numbers(1, sinkBuffer+1)...)
	if !reflect.DeepEqual(got, want) || programs[0] != "p" || programs[1] != "" {
		t.Errorf("%d entries: %.200q", len(got), got)
	}
}
