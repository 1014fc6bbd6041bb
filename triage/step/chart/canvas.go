// What all pictures share: the paper, the header, text that fits.

package chart

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	charts "github.com/go-analyze/charts"

	"triagebot/triage"
)

// Size of the picture in pixels. Each legend row beyond the first adds to its
// height. Slack shows it about 360 pixels wide.
const (
	Width      = 800
	baseHeight = 400
	legendRow  = 26
)

const (
	margin     = 14
	plotTop    = 74
	plotRight  = Width - 24
	axisHeight = 34 // for the time labels
)

// Sizes of type in points; at Slack's size 15 points are about 9 pixels.
const (
	titleSize = 19
	textSize  = 14.5
)

// Frame is what stands around every picture.
type Frame struct {
	Title    string
	Theme    Theme
	From, To time.Time // of the time that it shows; From is before To
	Verdict  triage.Verdict
	Notes    []string // what could not be drawn, below the picture; maxNotes are shown
}

// maxNotes is how many notes are shown.
const maxNotes = 3

// canvas is one picture being drawn.
type canvas struct {
	Frame
	*colors
	p             *charts.Painter
	regular, bold charts.FontStyle
	height        int // in pixels, notes included
	bottom        int // of what may be drawn on
}

// newCanvas begins a picture of a height, to which its notes add.
func newCanvas(f Frame, height int) *canvas {
	d := &canvas{Frame: f, colors: f.Theme.colors(), bottom: height}
	d.Notes = f.Notes[:min(len(f.Notes), maxNotes)]
	d.height = height + len(d.Notes)*legendRow
	d.regular = charts.FontStyle{FontSize: textSize, FontColor: d.faint, Font: charts.GetFont(charts.FontFamilyNotoSans)}
	d.bold = charts.FontStyle{FontSize: titleSize, FontColor: d.ink, Font: charts.GetFont(charts.FontFamilyNotoSansBold)}
	d.p = charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputPNG, Width: Width, Height: d.height, Font: d.regular.Font})
	d.p.FilledRect(0, 0, Width, d.height, d.paper, d.paper, 0)
	return d
}

// header is the title, with a bar in the verdict's colour, and the dates.
func (d *canvas) header(dates string) {
	color := d.faint
	switch d.Verdict {
	case triage.VerdictAbnormal:
		color = d.named["red"]
	case triage.VerdictNormal:
		color = d.named["green"]
	case triage.VerdictUnknown:
	}
	d.p.FilledRect(0, 0, 8, d.height, color, color, 0)
	width := d.width(dates, d.regular)
	d.p.Text(d.fit(d.Title, plotRight-margin-8-width-20, d.bold), margin+8, 34, 0, d.bold)
	d.p.Text(dates, plotRight-width, 34, 0, d.regular)
}

// png ends the picture with its notes.
func (d *canvas) png() ([]byte, error) {
	for i, note := range d.Notes {
		d.p.Text(d.fit(note, plotRight-margin-8, d.regular), margin+8, d.bottom+i*legendRow+16, 0, d.regular)
	}
	return d.p.Bytes()
}

// dates says in which day or days, and in which zone, the times are.
func (f *Frame) dates() string {
	from, to := f.From.UTC().Format("2 Jan 2006"), f.To.UTC().Format("2 Jan 2006")
	if from == to {
		return to + ", UTC"
	}
	return fmt.Sprintf("%s – %s, UTC", from, to)
}

// instant says when values were taken.
func (f *Frame) instant() string { return f.To.UTC().Format("2 Jan 2006 15:04 UTC") }

func (f *Frame) check() error {
	if !f.From.Before(f.To) {
		return fmt.Errorf("chart %q: its time axis ends at %s, before it begins", f.Title, f.To.UTC().Format(time.RFC3339))
	}
	return nil
}

func (d *canvas) width(text string, style charts.FontStyle) int {
	return d.p.MeasureText(text, 0, style).Width()
}

// centred writes text around x, within the picture's edges.
func (d *canvas) centred(text string, x, y int, style charts.FontStyle) {
	width := d.width(text, style)
	x = max(margin, min(x-width/2, Width-4-width))
	d.p.Text(text, x, y, 0, style)
}

// fit cuts text to a width and makes it drawable: a control or formatting
// character has no glyph.
func (d *canvas) fit(text string, width int, style charts.FontStyle) string {
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), 4*maxRunes)], "·"))
	runes := []rune(text)
	runes = runes[:min(len(runes), maxRunes)]
	if d.width(string(runes), style) <= width {
		return string(runes)
	}
	low, high := 0, len(runes) // low fits
	for low+1 < high {
		mid := (low + high) / 2
		if d.width(string(runes[:mid])+"…", style) <= width {
			low = mid
		} else {
			high = mid
		}
	}
	return string(runes[:low]) + "…"
}

// maxRunes is more text than any width holds.
const maxRunes = 200

// sized is a style in another size and colour.
func sized(style charts.FontStyle, size float64, color charts.Color) charts.FontStyle {
	style.FontSize, style.FontColor = size, color
	return style
}
