// A table: labels and values by row.

package chart

import (
	"fmt"

	charts "github.com/go-analyze/charts"
)

// Bounds of a table.
const (
	MaxRows    = 12
	maxColumns = 6
	rowHeight  = 34
)

// Table is a picture of a table.
type Table struct {
	Frame
	Columns []string
	Rows    [][]Cell // one for each column; the most important first
	Omitted int      // rows that there are besides
}

// Cell is one of them.
type Cell struct {
	Text  string
	Color string // of Grafana's; "" for plain ink
	Right bool   // a number, which stands at the right
}

// PNG draws the table.
func (t Table) PNG() ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	shown := t.Rows[:min(len(t.Rows), MaxRows)]
	columns := t.Columns[:min(len(t.Columns), maxColumns)]
	for _, n := range []struct {
		rest int
		what string
	}{{t.Omitted + len(t.Rows) - len(shown), "rows"}, {len(t.Columns) - len(columns), "columns"}} {
		if n.rest > 0 {
			t.Notes = append([]string{fmt.Sprintf("and %d more %s, not drawn", n.rest, n.what)}, t.Notes...)
		}
	}
	const top = 52
	d := newCanvas(t.Frame, top+(1+max(1, len(shown)))*rowHeight+margin)
	d.header(d.instant())
	if len(shown) == 0 || len(columns) == 0 {
		d.centred("no data", Width/2, top+rowHeight+22, d.regular)
		return d.png()
	}
	widths := d.columnWidths(columns, shown)
	x := margin + 8
	for c, name := range columns {
		d.cell(Cell{Text: name, Right: shown[0][c].Right, Color: "gray"}, x, top, widths[c])
		x += widths[c]
	}
	for r, row := range shown {
		y := top + (r+1)*rowHeight
		if r%2 == 0 {
			d.p.FilledRect(margin, y, plotRight, y+rowHeight, d.grid.WithAlpha(90), d.grid, 0)
		}
		x := margin + 8
		for c := range columns {
			d.cell(row[c], x, y, widths[c])
			x += widths[c]
		}
	}
	return d.png()
}

// columnWidths gives each column what its texts need, or its share of the
// whole where that is too much.
func (d *canvas) columnWidths(columns []string, rows [][]Cell) []int {
	const padding, most = 24, 420
	widths, sum := make([]int, len(columns)), 0
	for c, name := range columns {
		widths[c] = d.width(name, d.regular)
		for _, row := range rows {
			text := []rune(row[c].Text)
			widths[c] = max(widths[c], d.width(string(text[:min(len(text), maxRunes)]), d.cellStyle(row[c])))
		}
		widths[c] = min(widths[c], most) + padding
		sum += widths[c]
	}
	for c := range widths {
		widths[c] = widths[c] * (plotRight - margin - 8) / sum
	}
	return widths
}

func (d *canvas) cell(cell Cell, x, y, width int) {
	style := d.cellStyle(cell)
	text := d.fit(cell.Text, width-14, style)
	if cell.Right {
		x += width - 14 - d.width(text, style)
	}
	d.p.Text(text, x, y+23, 0, style)
}

func (d *canvas) cellStyle(cell Cell) (style charts.FontStyle) {
	return sized(d.regular, textSize+1, d.color(cell.Color, d.ink))
}
