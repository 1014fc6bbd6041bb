// What is asked: the metric that is the truth, and the readiness.

package maintenance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"triagebot/triage/promapi"
	"triagebot/triage/safetext"
)

// Querier evaluates PromQL at one instant; *promapi.Client is one.
type Querier interface {
	Query(ctx context.Context, expr string, at time.Time) (*promapi.Result, error)
}

// PromMetric is the Metric that an instant query of Prometheus tells: one
// series or scalar, whose value is 1 or 0.
type PromMetric struct {
	Querier Querier
	Expr    string
	Now     func() time.Time
}

// On implements Metric.
func (m PromMetric) On(ctx context.Context) (bool, error) {
	r, err := m.Querier.Query(ctx, m.Expr, m.Now())
	switch {
	case err != nil:
		return false, err
	case len(r.Series) == 0:
		return false, fmt.Errorf("%s has no data", m.Expr)
	case len(r.Series) > 1:
		return false, fmt.Errorf("%s gives %d series where one is needed; write max(…) around it", m.Expr, len(r.Series))
	}
	points := r.Series[0].Points
	switch v := points[len(points)-1].V; v {
	case 0:
		return false, nil
	case 1:
		return true, nil
	default:
		return false, fmt.Errorf("%s is %g, which is neither 0 nor 1", m.Expr, v)
	}
}

// String implements Metric.
func (m PromMetric) String() string { return m.Expr }

// HTTPReady is the Ready of a service with a readiness probe.
type HTTPReady struct {
	URL    string
	Client *http.Client
}

// Ready implements Ready: the probe itself answers 200. A redirect is not
// followed, for it may lead to a login's page, which answers 200 to everybody.
func (r HTTPReady) Ready(ctx context.Context) error {
	client := *r.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return safetext.WithoutURL(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return safetext.WithoutURL(err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status is what counts
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return fmt.Errorf("answered %d: %s", resp.StatusCode, safetext.Line(strings.TrimSpace(string(said)), shownAnswer))
}

// String implements Ready.
func (r HTTPReady) String() string { return "GET " + shownURL(r.URL) }
