// Colours: a light and a dark theme, a palette that colour-blind people can
// tell apart, and Grafana's names for thresholds.

package chart

import (
	"strings"

	charts "github.com/go-analyze/charts"
)

// Theme is which colours a picture has.
type Theme string

// The themes; the empty one is Light.
const (
	Light Theme = "light"
	Dark  Theme = "dark"
)

// colors are those of one theme. The palettes are Okabe and Ito's, then Tol's,
// the most visible first, lightened for the dark.
type colors struct {
	paper, ink, faint, grid charts.Color
	shade                   charts.Color // of the alert's time
	palette                 [MaxSeries]charts.Color
	named                   map[string]charts.Color // hues of thresholds
	cool, hot               charts.Color            // ends of a heatmap's ramp
}

func (t Theme) colors() *colors {
	rgb := charts.ColorRGB
	if t == Dark {
		return &colors{
			paper: rgb(24, 27, 31), ink: rgb(236, 236, 238), faint: rgb(168, 170, 178), grid: rgb(52, 55, 62),
			shade: rgb(255, 110, 90).WithAlpha(34),
			palette: [MaxSeries]charts.Color{
				rgb(86, 180, 233), rgb(255, 146, 60), rgb(46, 204, 158), rgb(226, 150, 194),
				rgb(150, 190, 255), rgb(240, 190, 70), rgb(200, 200, 204), rgb(224, 110, 160),
				rgb(200, 200, 100), rgb(160, 140, 240),
			},
			named: map[string]charts.Color{
				"red": rgb(255, 99, 99), "orange": rgb(255, 152, 48), "yellow": rgb(250, 222, 42), "green": rgb(92, 200, 128),
				"blue": rgb(110, 170, 245), "purple": rgb(190, 140, 230), "gray": rgb(168, 170, 178),
			},
			cool: rgb(38, 56, 84), hot: rgb(255, 226, 120),
		}
	}
	return &colors{
		paper: charts.ColorWhite, ink: rgb(29, 28, 29), faint: rgb(97, 96, 97), grid: rgb(225, 225, 228),
		shade: rgb(208, 28, 43).WithAlpha(20),
		palette: [MaxSeries]charts.Color{
			rgb(0, 114, 178), rgb(213, 94, 0), rgb(0, 158, 115), rgb(204, 121, 167),
			rgb(86, 180, 233), rgb(230, 159, 0), rgb(68, 68, 68), rgb(136, 34, 85),
			rgb(153, 153, 51), rgb(51, 34, 136),
		},
		named: map[string]charts.Color{
			"red": rgb(208, 28, 43), "orange": rgb(204, 96, 0), "yellow": rgb(168, 128, 0), "green": rgb(24, 128, 84),
			"blue": rgb(31, 96, 196), "purple": rgb(128, 60, 170), "gray": rgb(97, 96, 97),
		},
		cool: rgb(222, 235, 247), hot: rgb(165, 15, 21),
	}
}

// color reads a colour as Grafana writes it: a hue with or without a shade
// (red, dark-red, semi-dark-orange), or #rrggbb. Anything else is otherwise.
func (c *colors) color(name string, otherwise charts.Color) charts.Color {
	if len(name) == 7 && name[0] == '#' {
		return charts.ParseColor(name)
	}
	hue := name[strings.LastIndexByte(name, '-')+1:]
	if color, known := c.named[hue]; known {
		return color
	}
	return otherwise
}

// ramp is the colour of a share from 0 to 1, by way of orange.
func (c *colors) ramp(share float64) charts.Color {
	share = max(0, min(1, share))
	middle := c.named["orange"]
	if share < 0.5 {
		return blend(c.cool, middle, 2*share)
	}
	return blend(middle, c.hot, 2*share-1)
}

func blend(a, b charts.Color, share float64) charts.Color {
	mix := func(a, b uint8) uint8 { return uint8(float64(a) + share*(float64(b)-float64(a)) + 0.5) }
	return charts.ColorRGB(mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B))
}
