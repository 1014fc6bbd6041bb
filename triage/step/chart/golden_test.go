package chart

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"triagebot/triage"
	"triagebot/triage/step/unit"
)

var update = flag.Bool("update", false, "rewrite testdata")

// course is an hour of n steps.
func course(n int, at func(i int) float64) []Point {
	points := make([]Point, n+1)
	for i := range points {
		points[i] = Point{to.Add(time.Duration(i-n) * time.Hour / time.Duration(n)), at(i)}
	}
	return points
}

// pictures are one of each kind, as an incident has them.
func pictures(theme Theme) map[string]interface{ PNG() ([]byte, error) } {
	frame := func(title string) Frame {
		return Frame{Title: title, Theme: theme, From: to.Add(-time.Hour), To: to, Verdict: triage.VerdictAbnormal}
	}
	lines := latency()
	lines.Frame = frame("Restarts and backoff")
	lines.Unit, lines.Right, lines.Threshold, lines.Step = unit.None, unit.Millis, nil, time.Minute
	lines.Thresholds = []Threshold{{Value: 3, Color: "red", Line: true, Area: true}}
	lines.Series = []Series{
		{Name: "restarts in 10m", Points: course(60, func(i int) float64 { return float64(max(0, i-45)) / 2 })},
		{Name: "backoff w1", Right: true, Points: course(60, func(i int) float64 { return 1000 * float64(i/50) })},
		{Name: "usual", Dashed: true, Color: "green", Points: course(60, func(int) float64 { return 0.5 })},
	}
	heat := Heatmap{Frame: frame("Latency heatmap"), Unit: unit.Millis, Step: time.Minute, Marker: to.Add(-15 * time.Minute)}
	for b, upper := range []float64{100, 250, 500, 1000, 2500, 5000, math.Inf(1)} {
		heat.Buckets = append(heat.Buckets, Bucket{upper, course(60, func(i int) float64 {
			centre := 2.0
			if i > 45 {
				centre = 4
			}
			return math.Floor(100 * math.Exp(-math.Pow(float64(b)-centre, 2)))
		})})
	}
	ratio := func(i int) float64 { return float64(max(0, i-45)) / 200 }
	tiles := []Value{
		{Name: "maintenance", Text: "ON", V: 1, Color: "red", Points: course(60, func(i int) float64 { return float64(i / 46) })},
		{Name: "error ratio", Text: "7.5%", V: 0.075, Max: 0.1, Color: "orange", BaseColor: "green", Steps: []Threshold{{Value: 0.02, Color: "orange"}, {Value: 0.09, Color: "dark-red"}}, Points: course(60, ratio)},
		{Name: "workers up", Text: "2", V: 2, Max: 4, Color: "green"},
	}
	noted := frame("With notes")
	noted.Notes = []string{"query B: Prometheus main did not answer within 10s", "not applied: transformation calculateField"}
	return map[string]interface{ PNG() ([]byte, error) }{
		"lines":   lines,
		"heatmap": heat,
		"stat":    Values{Frame: noted, Style: StyleStat, Values: tiles},
		"gauge":   Values{Frame: frame("Gauge"), Style: StyleGauge, Values: tiles[1:2]},
		"bars":    Values{Frame: frame("Bars"), Style: StyleBars, Values: tiles[1:]},
		"table": Table{
			Frame: frame("Workers"), Columns: []string{"worker", "restarts", "backoff"}, Omitted: 3,
			Rows: [][]Cell{
				{{Text: "w0"}, {Text: "0", Right: true, Color: "green"}, {Text: "0ms", Right: true}},
				{{Text: "w1"}, {Text: "7", Right: true, Color: "red"}, {Text: "4s", Right: true, Color: "#aa00ff"}},
			},
		},
		"empty": Heatmap{Frame: frame("Nothing"), Step: time.Minute},
	}
}

// thumbnail is a picture of a quarter of its size: what
// golden images are compared by, so that a font's edge does not matter.
func thumbnail(data []byte) (*image.RGBA, error) {
	decoded, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	picture := rgba(decoded)
	const factor = 4
	size := picture.Rect.Size().Div(factor)
	small := image.NewRGBA(image.Rect(0, 0, size.X, size.Y))
	for y := range size.Y {
		for x := range size.X {
			var sum [3]int
			for i := range factor * factor {
				from := picture.PixOffset(x*factor+i%factor, y*factor+i/factor)
				for c := range sum {
					sum[c] += int(picture.Pix[from+c])
				}
			}
			at := small.PixOffset(x, y)
			for c := range sum {
				small.Pix[at+c] = uint8(sum[c] / (factor * factor))
			}
			small.Pix[at+3] = 255
		}
	}
	return small, nil
}

func rgba(picture image.Image) *image.RGBA {
	out := image.NewRGBA(picture.Bounds())
	draw.Draw(out, out.Rect, picture, picture.Bounds().Min, draw.Src)
	return out
}

// difference is the share of the pixels that are plainly of another colour.
func difference(a, b *image.RGBA) float64 {
	if a.Rect != b.Rect {
		return 1
	}
	const plainly = 32 // of 255, in any colour
	other := 0
	for i := 0; i < len(a.Pix); i += 4 {
		for c := range 3 {
			if d := int(a.Pix[i+c]) - int(b.Pix[i+c]); d > plainly || d < -plainly {
				other++
				break
			}
		}
	}
	return float64(other) / float64(len(a.Pix)/4)
}

// tolerance is the share of pixels that may differ from a golden image.
const tolerance = 0.004

func TestPicturesLookAsTheGoldenOnes(t *testing.T) {
	for _, theme := range []Theme{Light, Dark} {
		for name, picture := range pictures(theme) {
			t.Run(fmt.Sprint(name, " ", theme), func(t *testing.T) {
				data, err := picture.PNG()
				if err != nil {
					t.Fatal(err)
				}
				got, err := thumbnail(data)
				if err != nil {
					t.Fatal(err)
				}
				golden := filepath.Join("testdata", name+"-"+string(theme)+".png")
				if *update {
					var buf bytes.Buffer
					if err := png.Encode(&buf, got); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(golden, buf.Bytes(), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				file, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				decoded, err := png.Decode(bytes.NewReader(file))
				if err != nil {
					t.Fatal(err)
				}
				if share := difference(rgba(decoded), got); share > tolerance {
					if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name+".png"), data, 0o600); err != nil {
						t.Fatal(err)
					}
					t.Errorf("%.2f %% of the pixels differ; look at it with -artifacts", 100*share)
				}
			})
		}
	}
}

// The tolerance is no licence: what matters in a picture moves more pixels.
func TestTheToleranceSeesWhatMatters(t *testing.T) {
	base := pictures(Light)["lines"].(Chart)
	render := func(c Chart) *image.RGBA {
		data, err := c.PNG()
		if err != nil {
			t.Fatal(err)
		}
		small, err := thumbnail(data)
		if err != nil {
			t.Fatal(err)
		}
		return small
	}
	want := render(base)
	for name, change := range map[string]func(*Chart){
		"no threshold": func(c *Chart) { c.Thresholds = nil },
		"no series":    func(c *Chart) { c.Series = c.Series[:1] },
		"other axis":   func(c *Chart) { c.Unit = unit.Bytes; c.Max = new(20.0) },
		"other title":  func(c *Chart) { c.Title = "Another title that is long" },
	} {
		c := base
		c.Series, c.Thresholds = slices.Clone(c.Series), slices.Clone(c.Thresholds)
		change(&c)
		if share := difference(want, render(c)); share <= tolerance {
			t.Errorf("%s: only %.2f %% of the pixels differ", name, 100*share)
		}
	}
}

func TestHostileAndHugePicturesAreDrawn(t *testing.T) {
	frame := Frame{Title: "\x00\xff\u202E" + fmt.Sprint(make([]int, 5000)), From: to.Add(-time.Hour), To: to, Notes: slices.Repeat([]string{"n"}, 50)}
	values := slices.Repeat([]Value{{Name: "\x00\u202E", Text: fmt.Sprint(make([]int, 500)), V: math.Inf(1), Max: math.NaN(), Color: "#zzzzzz", Steps: []Threshold{{Value: math.NaN()}}}}, 100)
	cells := slices.Repeat([]Cell{{Text: "\xff\x00" + fmt.Sprint(make([]int, 500))}}, 50)
	for name, picture := range map[string]interface{ PNG() ([]byte, error) }{
		"stat":    Values{Frame: frame, Values: values},
		"gauge":   Values{Frame: frame, Style: StyleGauge, Values: values},
		"bars":    Values{Frame: frame, Style: StyleBars, Values: values},
		"table":   Table{Frame: frame, Columns: slices.Repeat([]string{"c"}, 50), Rows: slices.Repeat([][]Cell{cells}, 1000)},
		"heatmap": Heatmap{Frame: frame, Buckets: slices.Repeat([]Bucket{{math.NaN(), []Point{{to, math.Inf(1)}, {to, math.MaxFloat64}}}}, 1000)},
		"lines": Chart{
			Frame: frame, Min: new(math.NaN()), Max: new(math.Inf(1)), Thresholds: []Threshold{{Value: math.NaN(), Area: true, Line: true}, {Value: math.Inf(1), Area: true}},
			Series: []Series{{Right: true, Color: "#", Points: []Point{{to, math.MaxFloat64}, {to, -math.MaxFloat64}}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := picture.PNG()
			if err != nil {
				t.Fatal(err)
			}
			if size, err := png.DecodeConfig(bytes.NewReader(data)); err != nil || size.Width != Width || size.Height > 1200 {
				t.Errorf("%+v, %v", size, err)
			}
		})
	}
}
