package schedule

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"
	_ "time/tzdata" // for machines without a time zone database

	"github.com/robfig/cron/v3"
)

const (
	maxExpression = 256 // bytes
	maxEvery      = 366 * 24 * time.Hour

	// never is after all times.
	never = math.MaxInt64

	day = 24 * 60 * 60 // seconds

	// horizon is how far next looks, in seconds. The rarest that there is, 29 February on one day of the week, comes after 40 years at
	// the latest.
	horizon = 41 * 366 * day

	// shifts of local time of less than so many seconds are daylight saving, greater ones corrections (cron(8)).
	maxShift = 3 * 60 * 60

	star = 1 << 63 // robfig's mark of a field that is not restricted
)

var parser = cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// An expression is a set of times. Times are in Unix seconds.
type expression struct {
	text string

	every, phase int64 // @every: the times that are phase modulo every; else every is 0

	fields *cron.SpecSchedule
	zone   *time.Location

	// fixed: the hour and the minute are given, without a wildcard. Such a time runs once a day whatever local time does (cron(8)):
	// where it is skipped, right after the jump, and where it is repeated, the first time. All others run by the clock on the wall.
	fixed bool
}

// parse reads an expression. load finds its time zone. created gives @every its phase.
func parse(text string, created time.Time, load func(string) (*time.Location, error)) (*expression, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("%d bytes, limit %d", len(text), maxExpression)
	}
	x := &expression{text: text, zone: time.UTC}
	rest := strings.TrimSpace(text)
	for _, prefix := range []string{"CRON_TZ=", "TZ="} {
		if name, found := strings.CutPrefix(rest, prefix); found {
			var err error
			if name, rest, found = strings.Cut(name, " "); !found || name == "" || name == "Local" {
				return nil, fmt.Errorf("%s takes a time zone's name and then an expression", prefix)
			}
			if x.zone, err = load(name); err != nil {
				return nil, fmt.Errorf("time zone %q is not known", name)
			}
			rest = strings.TrimSpace(rest)
			break
		}
	}
	if strings.Contains(rest, "TZ=") { // robfig would read it again
		return nil, fmt.Errorf("a time zone is given in front, and once")
	}
	if every, found := strings.CutPrefix(rest, "@every "); found {
		return x, x.setEvery(strings.TrimSpace(every), created)
	}
	return x, x.setFields(rest)
}

func (x *expression) setEvery(text string, created time.Time) error {
	every, err := time.ParseDuration(text)
	if err != nil || every < time.Second || every > maxEvery || every%time.Second != 0 {
		return fmt.Errorf("@every %s: must be whole seconds, from 1s to %v", text, maxEvery)
	}
	x.every = int64(every / time.Second)
	x.phase = created.Unix() % x.every
	return nil
}

func (x *expression) setFields(text string) error {
	words := strings.Fields(text)
	n := len(words)
	wild := func(i int) bool { return strings.ContainsAny(words[i], "*?") }
	if n >= 5 {
		words[n-1] = sunday(words[n-1])
	}
	parsed, err := parser.Parse(strings.Join(words, " "))
	if err != nil {
		return err
	}
	fields, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return fmt.Errorf("%q is not an expression", text)
	}
	x.fields, x.fixed = fields, fields.Hour&star == 0
	if n >= 5 { // robfig does not take */2 for a wildcard, cron does
		x.fixed = !wild(n-5) && !wild(n-4)
		if wild(n - 3) {
			fields.Dom |= star
		}
		if wild(n - 1) {
			fields.Dow |= star
		}
	}
	return nil
}

// sunday is a field of days of the week in which a Sunday that is 7, as crontab(5) allows, is 0.
func sunday(field string) string {
	days := strings.Split(field, ",")
	for i, d := range days {
		if first, found := strings.CutSuffix(d, "-7"); found {
			days[i] = first + "-6,0"
		} else if d == "7" {
			days[i] = "0"
		}
	}
	return strings.Join(days, ",")
}

// next is the first time after a time, or never.
//
// A zone's time is made of stretches with one offset from UTC each. Within one, local time is UTC's shifted; what cron(8) says of
// skipped and repeated times concerns only where one begins.
func (x *expression) next(after int64) int64 {
	if x.every > 0 {
		return after + x.every - modulo(after-x.phase, x.every)
	}
	for t, limit := after+1, after+horizon; t < limit; {
		local := time.Unix(t, 0).In(x.zone)
		begin, end := local.ZoneBounds()
		_, offset := local.Zone()
		until := limit
		if !end.IsZero() {
			until = min(limit, end.Unix())
		}
		from := t
		if x.fixed && !begin.IsZero() {
			_, before := begin.Add(-1).Zone()
			switch shift := int64(offset - before); {
			case shift > 0 && shift < maxShift && t == begin.Unix():
				if x.match(t+int64(before), t+int64(offset)) != never {
					return t
				}
			case shift < 0 && shift > -maxShift:
				from = max(t, begin.Unix()-shift)
			}
		}
		if found := x.match(from+int64(offset), until+int64(offset)); found != never {
			return found - int64(offset)
		}
		t = until
	}
	return never
}

// last is the last time after a time and up to another, or never.
func (x *expression) last(after, to int64) int64 {
	if after >= to || x.next(after) > to {
		return never
	}
	low, high := after, to // the next of low is not after to, that of high is
	for high-low > 1 {
		if middle := low + (high-low)/2; x.next(middle) <= to {
			low = middle
		} else {
			high = middle
		}
	}
	return x.next(low)
}

// match is the first match from a local time on and before another, or never. Local times are seconds since 1970-01-01 00:00 on the
// wall.
func (x *expression) match(from, until int64) int64 {
	date, second := from/day, modulo(from, day)
	if from < 0 && second > 0 {
		date--
	}
	for date*day+second < until {
		at := time.Unix(date*day, 0).UTC()
		year, month, d := at.Date()
		switch {
		case x.fields.Month&(1<<month) == 0:
			date = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC).Unix() / day
		case !x.matchDay(d, at.Weekday()):
			date++
		default:
			if second = x.matchSecond(second); second >= 0 {
				if found := date*day + second; found < until {
					return found
				}
				return never
			}
			date++
		}
		second = 0
	}
	return never
}

// matchDay: where both days are restricted either will do (crontab(5)).
func (x *expression) matchDay(day int, weekday time.Weekday) bool {
	inMonth, inWeek := x.fields.Dom&(1<<day) != 0, x.fields.Dow&(1<<weekday) != 0
	if (x.fields.Dom|x.fields.Dow)&star != 0 {
		return inMonth && inWeek
	}
	return inMonth || inWeek
}

// matchSecond is the first match of a day from one of its seconds on, or -1.
func (x *expression) matchSecond(from int64) int64 {
	hour, minute, second := int(from/3600), int(from/60%60), int(from%60)
	firstMinute, firstSecond := bit(x.fields.Minute, 0), bit(x.fields.Second, 0)
	if firstMinute < 0 || firstSecond < 0 {
		return -1
	}
	if bit(x.fields.Hour, hour) == hour {
		if bit(x.fields.Minute, minute) == minute {
			if s := bit(x.fields.Second, second); s >= 0 {
				return int64(hour*3600 + minute*60 + s)
			}
		}
		if m := bit(x.fields.Minute, minute+1); m >= 0 {
			return int64(hour*3600 + m*60 + firstSecond)
		}
	}
	if h := bit(x.fields.Hour, hour+1); h >= 0 {
		return int64(h*3600 + firstMinute*60 + firstSecond)
	}
	return -1
}

// bit is the first bit of a field that is set, from one on, or -1.
func bit(field uint64, from int) int {
	left := field &^ star >> from
	if left == 0 {
		return -1
	}
	return from + bits.TrailingZeros64(left)
}

// modulo is not negative.
func modulo(a, n int64) int64 { return (a%n + n) % n }
