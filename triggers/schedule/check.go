package schedule

import (
	"fmt"
	"time"

	"github.com/aleph-edge/aleph-edge/triggers"
)

// MaxJitter is how late a run may be made.
const MaxJitter = 24 * time.Hour

const hint = `five fields or six (with seconds in front), as "*/5 * * * *"; or @hourly, @daily, @weekly, @monthly, @yearly, @every 1h30m; ` +
	`CRON_TZ=Europe/Berlin in front for a time zone other than UTC`

// Check says what is wrong with a declaration's schedules. The error is a *triggers.Error.
func Check(d *triggers.Declaration) error {
	for i := range d.Schedules {
		s, field := &d.Schedules[i], fmt.Sprintf("schedules[%d]", i)
		x, err := parse(s.Cron, time.Time{}, time.LoadLocation)
		if err != nil {
			return &triggers.Error{Field: field + ".cron", Text: err.Error(), Hint: hint}
		}
		if x.next(0) == never {
			return triggers.Errorf(field+".cron", "%q never comes", s.Cron)
		}
		switch s.Missed {
		case "", once, skip, all:
		default:
			return &triggers.Error{Field: field + ".missed", Text: fmt.Sprintf("%.40q is none", s.Missed), Hint: "once, skip or all"}
		}
		switch s.Overlap {
		case "", allow, forbid:
		default:
			return &triggers.Error{Field: field + ".overlap", Text: fmt.Sprintf("%.40q is none", s.Overlap), Hint: "allow or forbid"}
		}
		if j := time.Duration(s.Jitter); j < 0 || j > MaxJitter {
			return triggers.Errorf(field+".jitter", "%v, must be from 0 to %v", j, MaxJitter)
		}
	}
	return nil
}
