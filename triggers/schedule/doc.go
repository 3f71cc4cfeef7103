// Package schedule makes events of times that come again and again.
//
// # Times
//
// Expressions are crontab(5)'s: five fields, or six with the seconds in front, or @hourly, @daily (@midnight), @weekly, @monthly,
// @yearly (@annually), or @every and a duration of whole seconds, which counts from when the schedule's program was deployed, so that
// a restart does not shift it. They are UTC's unless CRON_TZ=Zone/Name is in front; the zones are those of the machine, or else the
// ones built in. As in crontab(5), if both days are restricted either will do, where a field with a * is not restricted.
//
// When daylight saving begins or ends cron(8) is followed. A time without a wildcard in hour and minute runs exactly once: one that is
// skipped, right after the jump (several that are skipped together: once), and one that is repeated, the first time. All others run by
// the clock on the wall: not in the hour that is skipped, and in both of the one that is repeated.
//
// # What is promised
//
// A time's event and the checkpoint behind it are one transaction, so each time makes one event wherever the process is killed. Its id
// is the schedule's name, @ and the time.
//
// A time is missed that passed while nothing ran, or over a minute ago: the machine slept, its clock was set forward, or the program
// had too many events. Of missed times, once has the last run, unless one that is not missed runs now; skip none; all each of them, up
// to the last 1,000. With overlap forbid no event is made while the one before is still to be delivered, or runs, or is tried again;
// what is skipped so is counted. An event made by Fire does not count here.
//
// The clock may go wrong. No time runs twice: a clock that was set back makes schedules wait until it is where it was. If that is more
// than three hours ahead it is taken to have been wrong then, and schedules go on from now; what runs again then are other times, or
// the queue knows their ids.
//
// # Layout
//
//	checkpoint/schedule/<program>/<name>    which expression, its last time, the last with an event, how many were skipped
package schedule
