package schedule

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

func mustParse(t testing.TB, text string) *expression {
	t.Helper()
	x, err := parse(text, time.Unix(0, 0), time.LoadLocation)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return x
}

// TestNext has what crontab(5) and cron(8) say: times in UTC after the first.
func TestNext(t *testing.T) {
	for _, c := range []struct{ expression, from, want string }{
		{"*/5 * * * *", "2026-11-22T10:02:00", "10:05:00 10:10:00"},
		{"*/20 * * * * *", "2026-11-22T10:02:59", "10:03:00 10:03:20 10:03:40"},
		{"0 9-11/2 * * *", "2026-11-22T10:00:00", "11:00:00 09:00:00 11:00:00"},
		{"@hourly", "2026-11-22T10:00:00", "11:00:00 12:00:00"},
		{"@daily", "2026-11-22T10:00:00", "2026-11-23T00:00:00"},
		{"@midnight", "2026-11-22T10:00:00", "2026-11-23T00:00:00"},
		{"@weekly", "2026-11-22T10:00:00", "2026-11-29T00:00:00"},
		{"@monthly", "2026-11-22T10:00:00", "2026-12-01T00:00:00"},
		{"@yearly", "2026-11-22T10:00:00", "2027-01-01T00:00:00"},
		{"@every 90s", "1970-01-01T00:01:00", "00:01:30 00:03:00"},
		{"  0 0 29 feb *", "2097-01-01T00:00:00", "2104-02-29T00:00:00"},
		{"0 0 29 2 */7", "1880-03-01T00:00:00", "1920-02-29T00:00:00"},                                                           // one that is a Sunday
		{"0 0 13 * 5", "2026-11-22T00:00:00", "2026-11-27T00:00:00 2026-12-04T00:00:00 2026-12-11T00:00:00 2026-12-13T00:00:00"}, // either
		{"0 0 */2 * 5", "2026-11-22T00:00:00", "2026-11-27T00:00:00 2026-12-11T00:00:00"},                                        // both
		{"0 0 * * 7", "2026-11-22T10:00:00", "2026-11-29T00:00:00"},
		{"0 0 * * 5-7", "2026-11-22T10:00:00", "2026-11-27T00:00:00 2026-11-28T00:00:00 2026-11-29T00:00:00 2026-12-04T00:00:00"},
		{"CRON_TZ=Asia/Kolkata 0 6 * * *", "2026-11-22T00:00:00", "2026-11-22T00:30:00"},
		{"TZ=Asia/Kolkata 0 6 * * *", "2026-11-22T00:00:00", "2026-11-22T00:30:00"},

		// The hour from 2 to 3 is skipped at 01:00 UTC on 29 March, and repeated at 01:00 UTC on 25 October.
		{"CRON_TZ=Europe/Berlin 30 2 * * *", "2026-03-27T12:00:00", "2026-03-28T01:30:00 2026-03-29T01:00:00 2026-03-30T00:30:00"},
		{"CRON_TZ=Europe/Berlin 0,15,30 2 * * *", "2026-03-28T12:00:00", "2026-03-29T01:00:00 2026-03-30T00:00:00"},
		{"CRON_TZ=Europe/Berlin 0 2,3 * * *", "2026-03-28T12:00:00", "2026-03-29T01:00:00 2026-03-30T00:00:00"},
		{"CRON_TZ=Europe/Berlin 30 * * * *", "2026-03-29T00:00:00", "00:30:00 01:30:00 02:30:00"},
		{"CRON_TZ=Europe/Berlin */30 2 * * *", "2026-03-28T12:00:00", "2026-03-30T00:00:00"},
		{"CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-24T12:00:00", "2026-10-25T00:30:00 2026-10-26T01:30:00"},
		{"CRON_TZ=Europe/Berlin 30 * * * *", "2026-10-24T23:59:00", "2026-10-25T00:30:00 01:30:00 02:30:00"},
		{"CRON_TZ=Europe/Berlin */30 2 * * *", "2026-10-24T12:00:00", "2026-10-25T00:00:00 00:30:00 01:00:00 01:30:00 2026-10-26T01:00:00"},
		{"CRON_TZ=Europe/Berlin 0 3 * * *", "2026-10-24T12:00:00", "2026-10-25T02:00:00"},

		// Skipped at 07:00 UTC on 8 March, repeated at 06:00 UTC on 1 November.
		{"CRON_TZ=America/New_York 30 2 * * *", "2026-03-07T12:00:00", "2026-03-08T07:00:00 2026-03-09T06:30:00"},
		{"CRON_TZ=America/New_York 30 1 * * *", "2026-10-31T12:00:00", "2026-11-01T05:30:00 2026-11-02T06:30:00"},
		{"CRON_TZ=America/New_York 30 * * * *", "2026-11-01T05:00:00", "05:30:00 06:30:00 07:30:00"},

		// Half an hour: 02:00 to 02:30 is skipped at 15:30 UTC on 3 October, 01:30 to 02:00 repeated at 15:00 UTC on 4 April.
		{"CRON_TZ=Australia/Lord_Howe 15 2 * * *", "2026-10-03T00:00:00", "2026-10-03T15:30:00 2026-10-04T15:15:00"},
		{"CRON_TZ=Australia/Lord_Howe 45 2 * * *", "2026-10-03T00:00:00", "2026-10-03T15:45:00"},
		{"CRON_TZ=Australia/Lord_Howe 45 1 * * *", "2026-04-04T00:00:00", "2026-04-04T14:45:00 2026-04-05T15:15:00"},
		{"CRON_TZ=Australia/Lord_Howe 45 * * * *", "2026-04-04T14:00:00", "14:45:00 15:15:00 16:15:00"},

		// Midnight is skipped in Beirut, at 22:00 UTC on 28 March; a whole day, which is a correction, was in Samoa.
		{"CRON_TZ=Asia/Beirut @daily", "2026-03-27T23:00:00", "2026-03-28T22:00:00 2026-03-29T21:00:00"},
		{"CRON_TZ=Pacific/Apia 0 12 * * *", "2011-12-29T00:00:00", "2011-12-29T22:00:00 2011-12-30T22:00:00"},
	} {
		at, err := time.Parse("2006-01-02T15:04:05", c.from)
		if err != nil {
			t.Fatal(err)
		}
		x, after := mustParse(t, c.expression), at.Unix()
		var got []string
		for _, want := range strings.Fields(c.want) {
			if after = x.next(after); len(want) == len("15:04:05") {
				got = append(got, time.Unix(after, 0).UTC().Format("15:04:05"))
			} else {
				got = append(got, time.Unix(after, 0).UTC().Format("2006-01-02T15:04:05"))
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s after %s:\n got %s\nwant %s", c.expression, c.from, strings.Join(got, " "), c.want)
		}
	}
}

// TestNextBrute compares next and last with a look at each second around changes of local time.
func TestNextBrute(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	for _, around := range []struct{ zone, at string }{
		{"Europe/Berlin", "2026-03-29T01:00:00Z"}, {"Europe/Berlin", "2026-10-25T01:00:00Z"},
		{"America/New_York", "2026-03-08T07:00:00Z"}, {"America/New_York", "2026-11-01T06:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-04T15:00:00Z"}, {"Australia/Lord_Howe", "2026-10-03T15:30:00Z"},
		{"Asia/Beirut", "2026-03-28T22:00:00Z"}, {"Pacific/Apia", "2011-12-30T10:00:00Z"}, {"Asia/Kathmandu", "1985-12-31T18:30:00Z"},
		{"America/Caracas", "2016-05-01T07:00:00Z"}, {"UTC", "2028-02-29T00:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, around.at)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			text := fmt.Sprintf("CRON_TZ=%s %s %s %s %s %s %s", around.zone, pick("0", "*/20", "7,33"), pick("30", "0,30", "*", "*/10", "15-45/15"),
				pick("0", "1", "2", "1-3", "*", "*/2", "23,2"), pick("*", "*", "28-31,1-5", "*/2"), pick("*", "3,4,10-12"), pick("*", "*", "0,6", "5-7"))
			x := mustParse(t, text)
			from, to := at.Unix()-26*3600, at.Unix()+26*3600
			want := brute(x, from, to)
			var got []int64
			for s := x.next(from); s <= to; s = x.next(s) {
				got = append(got, s)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s around %s:\n got %v\nwant %v", text, around.at, got, want)
			}
			for i := len(want) - 1; i >= 0; i-- {
				if to = x.last(from, to); to != want[i] {
					t.Fatalf("%s around %s: the last is %d, want %d", text, around.at, to, want[i])
				}
				to--
			}
			if last := x.last(from, to); last != never {
				t.Fatalf("%s around %s: the last is %d, want none", text, around.at, last)
			}
		}
	}
}

// wall is what the clock on the wall shows, as seconds since 1970-01-01 00:00 there.
func wall(zone *time.Location, at int64) int64 {
	_, offset := time.Unix(at, 0).In(zone).Zone()
	return at + int64(offset)
}

// brute looks at each second after from and up to to.
func brute(x *expression, from, to int64) (times []int64) {
	shown := map[int64]int64{} // on the wall → when last
	for at := from - 3*3600; at <= to; at++ {
		local := wall(x.zone, at)
		fire := x.fieldsMatch(local)
		if x.fixed {
			if before, again := shown[local]; again && at-before < 2*3*3600 {
				fire = false
			}
			if jump := local - wall(x.zone, at-1) - 1; jump > 0 && jump < 3*3600 {
				for skipped := local - jump; skipped < local; skipped++ {
					fire = fire || x.fieldsMatch(skipped)
				}
			}
		}
		shown[local] = at
		if fire && at > from {
			times = append(times, at)
		}
	}
	return times
}

func (x *expression) fieldsMatch(local int64) bool {
	at, has := time.Unix(local, 0).UTC(), func(field uint64, n int) bool { return field>>n&1 == 1 }
	return has(x.fields.Second, at.Second()) && has(x.fields.Minute, at.Minute()) && has(x.fields.Hour, at.Hour()) &&
		has(x.fields.Month, int(at.Month())) && x.matchDay(at.Day(), at.Weekday())
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", " ", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "@reboot", "@every",
		"@every 1", "@every 500ms", "@every 1500ms", "@every -1h", "@every 9000h", "TZ=", "CRON_TZ=UTC", "CRON_TZ= * * * * *", "TZ=Local * * * * *",
		"TZ=../../etc/passwd * * * * *", "TZ=/etc/localtime * * * * *", "TZ=Europe/Nowhere @daily", "TZ=UTC TZ=UTC @daily", "TZ=UTC CRON_TZ=", "5-1 * * * *",
		"*/0 * * * *", "a * * * *", strings.Repeat("1,", 200) + "1 * * * *"} {
		if x, err := parse(text, time.Unix(0, 0), time.LoadLocation); err == nil {
			t.Errorf("%q: %+v", text, x)
		}
	}
}

// FuzzCheck: whatever is declared, Check ends, and what passes has a time after any other.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{"*/5 * * * *", "0 0 30 2 *", "0 0 29 2 */7", "CRON_TZ=Europe/Berlin 30 2 * * *", "@every 1h", "TZ=UTC", "@hourly", ", * * * *",
		"0 0 31 2,4,6,9,11 ?", "CRON_TZ=Australia/Lord_Howe 59 59 23 31 12 0"} {
		f.Add(text, int64(1_800_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, after int64) {
		x, err := parse(text, time.Unix(after, 0), time.LoadLocation)
		if err != nil || x.next(0) == never {
			return
		}
		after %= 1 << 33
		next := x.next(after)
		if next <= after || next == never {
			t.Fatalf("%q after %d: %d", text, after, next)
		}
		if last := x.last(after, next); last != next {
			t.Fatalf("%q from %d to %d: the last is %d", text, after, next, last)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	for _, text := range []string{"*/5 * * * *", "CRON_TZ=Europe/Berlin 30 2 * * *", "0 0 29 2 */7", "@every 1h"} {
		x := mustParse(b, text)
		b.Run(text, func(b *testing.B) {
			for at := int64(1_800_000_000); b.Loop(); {
				x.next(at)
			}
		})
	}
}

// robfig's own Next skips what daylight saving skips, and runs twice what it repeats: this test fails when that is no longer so.
func TestWhyNotRobfig(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := cron.ParseStandard("30 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	if next := parsed.Next(time.Date(2026, 3, 28, 12, 0, 0, 0, zone)); next.Day() != 30 {
		t.Errorf("the skipped time runs at %v", next)
	}
	first := parsed.Next(time.Date(2026, 10, 24, 12, 0, 0, 0, zone))
	if second := parsed.Next(first); second.Sub(first) != time.Hour {
		t.Errorf("the repeated time runs at %v and %v", first, second)
	}
}
