package chart

import (
	"bytes"
	"fmt"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/step/unit"
)

var to = time.Date(2026, 11, 24, 4, 5, 0, 0, time.UTC)

// wave is an hour of points each 15 s, around mid, that jumps by the factor
// rise in its last ten minutes.
func wave(mid, rise float64) []Point {
	var points []Point
	for i := range 241 {
		v := mid * (1 + 0.08*math.Sin(float64(i)/9) + 0.04*math.Sin(float64(i)*1.7))
		if i > 200 {
			v *= rise
		}
		points = append(points, Point{to.Add(time.Duration(i-240) * 15 * time.Second), v})
	}
	return points
}

func latency() Chart {
	return Chart{
		Frame: Frame{Title: "p95 latency on /v1/chat/completions", From: to.Add(-time.Hour), To: to, Verdict: triage.VerdictAbnormal},
		Unit:  unit.Millis, Step: 15 * time.Second,
		Series:       []Series{{Name: "/v1/chat/completions POST 2xx", Points: wave(420, 2.4), Baseline: wave(400, 1)}},
		BaselineName: "1d before", Threshold: new(800.0), Marker: to.Add(-9 * time.Minute),
	}
}

// samples are the charts of all the tests, by name. Run with -artifacts to
// look at them.
func samples() map[string]Chart {
	all := map[string]Chart{"latency": latency()}
	edit := func(name string, change func(*Chart)) {
		c := latency()
		change(&c)
		all[name] = c
	}
	edit("ten_series", func(c *Chart) {
		c.Series = nil
		for i := range 13 {
			c.Series = append(c.Series, Series{Name: fmt.Sprintf("instance=10.0.0.%d:8080, region=eu-central-%d, deployment=codex-app-server-canary", i, i), Points: wave(900-60*float64(i), 1)})
		}
		c.Omitted, c.Verdict, c.Threshold = 13, triage.VerdictNormal, nil
	})
	edit("no_points", func(c *Chart) { c.Series, c.Threshold, c.Verdict = nil, nil, triage.VerdictUnknown })
	edit("only_nan", func(c *Chart) {
		c.Series = []Series{{Name: "p95", Points: []Point{{to, math.NaN()}, {to, math.Inf(1)}}}}
	})
	edit("one_point", func(c *Chart) { c.Series = []Series{{Name: "p95", Points: []Point{{to.Add(-time.Minute), 431}}}} })
	edit("gaps", func(c *Chart) {
		p := c.Series[0].Points
		for i := 40; i < 80; i++ {
			p[i].V = math.NaN()
		}
		c.Series[0].Points = slices.Delete(p, 120, 150)
		c.Series[0].Baseline = nil
	})
	edit("huge", func(c *Chart) {
		c.Series = []Series{{Name: "a", Points: []Point{{to.Add(-30 * time.Minute), math.MaxFloat64}, {to.Add(-30*time.Minute + 15*time.Second), -math.MaxFloat64}}}}
		c.Unit, c.Threshold = unit.None, new(math.Inf(1))
	})
	edit("tiny", func(c *Chart) {
		c.Series = []Series{{Name: "a", Points: []Point{{to, math.SmallestNonzeroFloat64}, {to, 0}}}}
		c.Unit, c.Threshold = unit.None, nil
	})
	edit("negative", func(c *Chart) {
		c.Series = []Series{{Name: "change", Points: wave(-0.12, 1)}}
		c.Unit, c.Threshold = unit.Percent, nil
	})
	edit("bytes_week", func(c *Chart) {
		c.From, c.Step, c.Unit, c.Threshold = to.Add(-7*24*time.Hour), time.Hour, unit.Bytes, nil
		c.Series = []Series{{Name: "resident memory"}}
		for i := range 169 {
			c.Series[0].Points = append(c.Series[0].Points, Point{c.From.Add(time.Duration(i) * time.Hour), 1.2e9 + 4e6*float64(i)})
		}
	})
	edit("hostile", func(c *Chart) {
		c.Title = strings.Repeat("<!channel> \u202Eevil\x00\xff ", 10000)
		c.Series[0].Name = "日本語 \u202Eevil `code` " + strings.Repeat("x", 1<<20)
		c.BaselineName = "\n\n"
	})
	return all
}

func TestEveryChartIsAPictureOfItsSize(t *testing.T) {
	for name, c := range samples() {
		t.Run(name, func(t *testing.T) {
			data, err := c.PNG()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name+".png"), data, 0o644); err != nil {
				t.Fatal(err)
			}
			picture, err := png.DecodeConfig(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if picture.Width != Width || picture.Height < baseHeight || picture.Height > baseHeight+5*legendRow {
				t.Errorf("%d x %d", picture.Width, picture.Height)
			}
		})
	}
}

func TestTheSameChartIsTheSameBytes(t *testing.T) {
	first, err := latency().PNG()
	if err != nil {
		t.Fatal(err)
	}
	second, err := latency().PNG()
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("differs, %v", err)
	}
}

func TestWhatIsDrawnShows(t *testing.T) {
	base, err := latency().PNG()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Chart){
		"title":     func(c *Chart) { c.Title = "other" },
		"baseline":  func(c *Chart) { c.Series[0].Baseline = nil },
		"threshold": func(c *Chart) { c.Threshold = nil },
		"marker":    func(c *Chart) { c.Marker = time.Time{} },
		"verdict":   func(c *Chart) { c.Verdict = triage.VerdictNormal },
		"unit":      func(c *Chart) { c.Unit = unit.None },
		"gap":       func(c *Chart) { c.Series[0].Points[20].V = math.NaN() },
	} {
		c := latency()
		change(&c)
		if data, err := c.PNG(); err != nil || bytes.Equal(data, base) {
			t.Errorf("%s makes no difference, %v", name, err)
		}
	}
}

func TestATimeAxisThatGoesBackwardsIsRefused(t *testing.T) {
	c := latency()
	c.From = c.To
	if _, err := c.PNG(); err == nil {
		t.Error("drawn")
	}
}

func TestTheValueAxisIncludesZeroAndStaysFinite(t *testing.T) {
	for name, c := range samples() {
		low, high, step := c.valueRange()
		if low > 0 || high < 0 || low >= high || step <= 0 || math.IsInf(high-low, 0) || (high-low)/step > 10 {
			t.Errorf("%s: %v to %v by %v", name, low, high, step)
		}
	}
}

func TestTimeTicksAreRoundInUTC(t *testing.T) {
	for _, tt := range []struct {
		span time.Duration
		want []string
	}{
		{time.Minute, []string{"04:04:00", "04:04:10", "04:04:20", "04:04:30", "04:04:40", "04:04:50", "04:05:00"}},
		{time.Hour, []string{"03:10", "03:20", "03:30", "03:40", "03:50", "04:00"}},
		{6 * time.Hour, []string{"23:00", "00:00", "01:00", "02:00", "03:00", "04:00"}},
		{36 * time.Hour, []string{"22 Nov 18h", "23 Nov 00h", "23 Nov 06h", "23 Nov 12h", "23 Nov 18h", "24 Nov 00h"}},
		{7 * 24 * time.Hour, []string{"19 Nov", "21 Nov", "23 Nov"}},
	} {
		zone := time.FixedZone("", 5400) // where the caller's clock is must not matter
		c := Frame{From: to.Add(-tt.span).In(zone), To: to.In(zone)}
		ticks, layout := c.timeTicks()
		var got []string
		for _, tick := range ticks {
			got = append(got, tick.Format(layout))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.span, diff)
		}
	}
	c := Frame{From: to.AddDate(-40, 0, 0), To: to}
	if ticks, _ := c.timeTicks(); len(ticks) > maxTimeTicks {
		t.Errorf("%d ticks in 40 years", len(ticks))
	}
}

func BenchmarkPNG(b *testing.B) {
	for _, name := range []string{"latency", "ten_series"} {
		c := samples()[name]
		b.Run(name, func(b *testing.B) {
			size := 0
			for b.Loop() {
				data, err := c.PNG()
				if err != nil {
					b.Fatal(err)
				}
				size = len(data)
			}
			b.ReportMetric(float64(size), "bytes/picture")
		})
	}
}
