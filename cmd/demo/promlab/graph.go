// A page that shows an expression's last hour, so that the links of alerts and
// findings lead somewhere.

package promlab

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
)

//go:embed graph.html
var graphHTML string

// The drawing, in SVG units.
const (
	graphWidth  = 900
	graphHeight = 240
	graphPoints = 240
	graphSeries = 20 // more are not drawn
)

type graphPage struct {
	Expr, Range, Error string
	Factor             float64
	From, To           string
	Low, High          string
	Width, Height      int
	Series             []graphLine
	Omitted            int
}

type graphLine struct {
	Name, Last, Points string
	Hue                int
}

// graph understands the parameters of Prometheus's own page: g0.expr,
// g0.range_input and g0.end_input.
func (l *Lab) graph(w http.ResponseWriter, r *http.Request) {
	page := graphPage{Expr: r.FormValue("g0.expr"), Range: r.FormValue("g0.range_input"), Factor: l.opts.Factor, Width: graphWidth, Height: graphHeight}
	if page.Range == "" {
		page.Range = "1h"
	}
	if page.Expr != "" {
		if err := l.plot(r.Context(), &page, r.FormValue("g0.end_input")); err != nil {
			page.Error = err.Error()
		}
	}
	tmpl, err := template.New("graph").Parse(graphHTML)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
	_ = tmpl.Execute(w, page) // the reader went away
}

func (l *Lab) plot(ctx context.Context, page *graphPage, end string) error {
	span, err := model.ParseDuration(page.Range)
	if err != nil || span <= 0 {
		return fmt.Errorf("range %q is no duration; write 30m or 1h", page.Range)
	}
	to := time.Now()
	if at, err := time.Parse("2006-01-02 15:04:05", strings.Replace(end, "T", " ", 1)); err == nil {
		to = at
	}
	from := to.Add(-time.Duration(span))
	expr, err := ScaleExpr(l.parser, page.Expr, l.opts.Factor)
	if err != nil {
		return err
	}
	query, err := l.engine.NewRangeQuery(ctx, l.db, nil, expr, from, to, max(time.Duration(span)/graphPoints, time.Millisecond))
	if err != nil {
		return err
	}
	defer query.Close()
	matrix, err := query.Exec(ctx).Matrix()
	if err != nil {
		return err
	}
	const clock = "2006-01-02 15:04:05"
	page.From, page.To = from.UTC().Format(clock), to.UTC().Format(clock)
	page.draw(matrix, from, to)
	return nil
}

func (page *graphPage) draw(matrix promql.Matrix, from, to time.Time) {
	if len(matrix) > graphSeries {
		page.Omitted = len(matrix) - graphSeries
		matrix = matrix[:graphSeries]
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range matrix {
		for _, p := range s.Floats {
			if !math.IsNaN(p.F) && !math.IsInf(p.F, 0) {
				low, high = min(low, p.F), max(high, p.F)
			}
		}
	}
	if low > high {
		return
	}
	low = min(low, 0)
	if high == low {
		high = low + 1
	}
	page.Low, page.High = fmt.Sprintf("%.4g", low), fmt.Sprintf("%.4g", high)
	for i, s := range matrix {
		line := graphLine{Name: s.Metric.String(), Hue: i * 360 / len(matrix)}
		var points strings.Builder
		for _, p := range s.Floats {
			if math.IsNaN(p.F) || math.IsInf(p.F, 0) {
				continue
			}
			x := graphWidth * float64(p.T-from.UnixMilli()) / float64(to.UnixMilli()-from.UnixMilli())
			y := graphHeight * (1 - (p.F-low)/(high-low))
			fmt.Fprintf(&points, "%.1f,%.1f ", x, y)
			line.Last = fmt.Sprintf("%.6g", p.F)
		}
		line.Points = points.String()
		page.Series = append(page.Series, line)
	}
}
