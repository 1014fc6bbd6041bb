package tracelog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// timedLog writes a log of about as many bytes, in which no line is more than
// mostLate older than one before it, with whatever else stands in logs between.
func timedLog(r *rand.Rand, size int, step, late time.Duration) (text string, end time.Time) {
	var b strings.Builder
	at := pickAt
	for b.Len() < size {
		at = at.Add(time.Duration(r.Int64N(2*int64(step) + 1)))
		t := at.Add(-time.Duration(r.Int64N(int64(late) + 1)))
		stamp := strconv.Quote(t.Format(time.RFC3339Nano))
		switch r.IntN(200) {
		case 0:
			fmt.Fprintf(&b, `{"ts":%s,"req_id":"to`+"\n", stamp)
		case 1:
			fmt.Fprintf(&b, `{"req_id":"timeless"}`+"\n")
		case 2:
			fmt.Fprintf(&b, `{"ts":"soon","req_id":"x"}`+"\r\n\n")
		case 3:
			fmt.Fprintf(&b, `{"ts":%s,"pad":"%s"}`+"\n", stamp, strings.Repeat("x", r.IntN(100_000)))
		case 4:
			fmt.Fprintf(&b, `{"ts":%d,"req_id":"x"}`+"\n", t.UnixNano())
		default:
			fmt.Fprintf(&b, `{"ts":%s,"req_id":"x","status":200,"latency_ms":%d}`+"\n", stamp, r.IntN(1000))
		}
		if r.IntN(20_000) == 0 {
			fmt.Fprintf(&b, `{"ts":%s,"pad":"%s"}`+"\n", stamp, strings.Repeat("x", 1<<20))
		}
	}
	return b.String()[:b.Len()-r.IntN(40)], at
}

// timesOf are the offsets and times of all lines that have one.
func timesOf(text string) (offsets []int64, times []time.Time) {
	offset := int64(0)
	for line := range strings.Lines(text) {
		if fields, err := ParseObject([]byte(line)); err == nil {
			if t, ok := fieldTime(fields, "ts"); ok {
				offsets, times = append(offsets, offset), append(times, t)
			}
		}
		offset += int64(len(line))
	}
	return offsets, times
}

func TestAWindowHasAllItsLines(t *testing.T) {
	for seed := range uint64(9) {
		r := rand.New(rand.NewPCG(seed, 5))
		late := []time.Duration{0, time.Second, mostLate}[seed%3]
		text, end := timedLog(r, 100_000+r.IntN(1_500_000), time.Duration(1+r.IntN(2000))*time.Millisecond, late)
		offsets, times := timesOf(text)
		span := int64(end.Sub(pickAt))
		for range 40 {
			from := pickAt.Add(time.Duration(r.Int64N(span*5/4)) - time.Duration(span/8))
			to := from.Add(time.Duration(r.Int64N(span / 4)))
			switch r.IntN(6) {
			case 0:
				from = time.Time{}
			case 1:
				to = time.Time{}
			case 2:
				from = times[r.IntN(len(times))] // to the nanosecond
			}
			lo, hi, ok := windowOf(strings.NewReader(text), int64(len(text)), from, to, accessSource())
			if !ok {
				t.Fatalf("seed %d: no window", seed)
			}
			for i, at := range times {
				within := !at.Before(from) && (to.IsZero() || !at.After(to))
				if within && (offsets[i] < lo || offsets[i] >= hi) {
					t.Fatalf("seed %d: %s at %d is from %s to %s, but not in [%d, %d)", seed, at, offsets[i], from, to, lo, hi)
				}
			}
		}
	}
}

func TestAWindowIsNotMuchMoreThanItsLines(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	text, end := timedLog(r, 6<<20, 100*time.Millisecond, time.Second)
	from := pickAt.Add(end.Sub(pickAt) / 2)
	to := from.Add(time.Minute)
	file := &countingReaderAt{r: strings.NewReader(text)}
	lo, hi, ok := windowOf(file, int64(len(text)), from, to, accessSource())
	perSecond := float64(len(text)) / end.Sub(pickAt).Seconds()
	if most := int64(perSecond*(2*mostLate+time.Minute).Seconds()*1.5) + 4*probeSize + 1<<20; !ok || hi-lo > most || lo == 0 {
		t.Errorf("[%d, %d) of %d, %v; want at most %d bytes", lo, hi, len(text), ok, most)
	}
	if len(file.reads) > 60 {
		t.Errorf("it took %d reads", len(file.reads))
	}
}

func TestNoWindowWhereTimesCannotBeRead(t *testing.T) {
	line := func(at time.Time) string {
		return fmt.Sprintf(`{"ts":"%s","x":"%s"}`+"\n", at.Format(time.RFC3339), strings.Repeat("x", 200))
	}
	var shuffled strings.Builder // as two logs one after the other
	for i := range 4000 {
		shuffled.WriteString(line(pickAt.Add(time.Duration(i%2000) * time.Second)))
	}
	for name, text := range map[string]string{
		"empty":          "",
		"no times":       strings.Repeat(`{"req_id":"x"}`+"\n", 100_000),
		"no JSON":        strings.Repeat("listening on :8080\n", 100_000),
		"one long line":  strings.Repeat("x", 20<<20),
		"not in order":   shuffled.String(),
		"newlines":       strings.Repeat("\n", 1_000_000),
		"too small":      line(pickAt),
		"a torn ending ": strings.Repeat("x", 2*probeSize) + "\n" + line(pickAt)[:20],
	} {
		t.Run(name, func(t *testing.T) {
			lo, hi, ok := windowOf(strings.NewReader(text), int64(len(text)), pickAt.Add(20*time.Minute), pickAt.Add(21*time.Minute), accessSource())
			if ok {
				t.Errorf("got [%d, %d)", lo, hi)
			}
		})
	}
	if _, _, ok := windowOf(brokenReaderAt{errors.New("I/O error")}, 1<<20, pickAt, pickAt, accessSource()); ok {
		t.Error("a file that cannot be read has a window")
	}
}

// Lines that were brought in later stand where a binary search does not look.
func TestAStretchOfAnotherTimeAtTheEndIsNoticed(t *testing.T) {
	line := func(at time.Time) string {
		return fmt.Sprintf(`{"ts":"%s","x":"%s"}`+"\n", at.Format(time.RFC3339), strings.Repeat("x", 200))
	}
	var inOrder strings.Builder
	for i := range 20_000 {
		inOrder.WriteString(line(pickAt.Add(time.Duration(i) * time.Second)))
	}
	older := func(lines int) string { return strings.Repeat(line(pickAt.Add(time.Minute)), lines) }
	after := line(pickAt.Add(20_000 * time.Second))
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"none":                     {inOrder.String(), true},
		"a few lines":              {inOrder.String() + older(3), false},
		"and a torn one":           {inOrder.String() + older(3) + `{"ts":"20`, false},
		"and many without a time":  {inOrder.String() + older(3) + strings.Repeat("{}\n", 400), false},
		"and blanks without end":   {inOrder.String() + older(3) + strings.Repeat("\n", mostTimeless+1), true},
		"a twentieth":              {inOrder.String() + older(1000), false},
		"a little, and on as ever": {inOrder.String() + older(600) + strings.Repeat(after, 150), false},
		"a line, perhaps late":     {inOrder.String() + older(1), true},
	} {
		lo, hi, ok := windowOf(strings.NewReader(c.text), int64(len(c.text)), pickAt, pickAt.Add(10*time.Minute), accessSource())
		if ok != c.ok {
			t.Errorf("%s: [%d, %d), %v", name, lo, hi, ok)
		}
	}
}

func TestOneWrongTimeDoesNotMislead(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 40 {
		var b strings.Builder
		var wanted []int64
		from := pickAt.Add(30 * time.Minute)
		for i := range 3600 {
			at := pickAt.Add(time.Duration(i) * time.Second)
			if !at.Before(from) && !at.After(from.Add(time.Minute)) {
				wanted = append(wanted, int64(b.Len()))
			}
			if r.IntN(100) == 0 {
				fmt.Fprintf(&b, `{"ts":"%s"}`+"\n", []string{"1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z"}[r.IntN(2)])
			}
			fmt.Fprintf(&b, `{"ts":"%s","x":"%s"}`+"\n", at.Format(time.RFC3339), strings.Repeat("x", 200))
		}
		lo, hi, ok := windowOf(strings.NewReader(b.String()), int64(b.Len()), from, from.Add(time.Minute), accessSource())
		if ok && (wanted[0] < lo || wanted[len(wanted)-1] >= hi) {
			t.Fatalf("[%d, %d) has not all from %d to %d", lo, hi, wanted[0], wanted[len(wanted)-1])
		}
	}
}

func FuzzWindow(f *testing.F) {
	f.Add([]byte("{\"ts\":1767365400}\n\n{\"ts\":\"x\"}\n{\"t"), uint16(3000), int64(60))
	f.Fuzz(func(t *testing.T, filler []byte, repeats uint16, offset int64) {
		text := strings.Repeat(string(filler), min(int(repeats), 1<<20/(len(filler)+1)))
		from := time.Unix(1767365400+offset%1_000_000, 0)
		lo, hi, ok := windowOf(strings.NewReader(text), int64(len(text)), from, from.Add(time.Minute), accessSource())
		if ok && (lo < 0 || lo > hi || hi > int64(len(text))) {
			t.Fatalf("[%d, %d) of %d", lo, hi, len(text))
		}
	})
}
