// What people and deploys noted on Grafana's time line.

package grafana

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// MaxAnnotations are asked for at once.
const MaxAnnotations = 500

const maxAnnotations = 8 << 20 // bytes of an answer

// Annotation is one note on the time line.
type Annotation struct {
	Time time.Time // when it begins
	Text string    // as it was written, which may be HTML
	Tags []string
	Who  string // the login that wrote it; "" where Grafana does not say
}

// Annotations are those that begin from one instant to another, both included,
// and have any of the tags; without tags, all. They come by time, at most
// MaxAnnotations; more says that there are others. Those that Grafana makes of
// its own alerts are left out. Errors are *Error, or those of ctx.
//
// Held to https://grafana.com/docs/grafana/latest/developers/http_api/annotations/
// ("Find Annotations"). Not run against a real server.
func (c *Client) Annotations(ctx context.Context, from, to time.Time, tags []string) (all []Annotation, more bool, err error) {
	params := url.Values{
		"from":  {strconv.FormatInt(from.UnixMilli(), 10)},
		"to":    {strconv.FormatInt(to.UnixMilli(), 10)},
		"type":  {"annotation"},
		"limit": {strconv.Itoa(MaxAnnotations)},
	}
	if len(tags) > 0 {
		params["tags"], params["matchAny"] = tags, []string{"true"}
	}
	body, err := c.get(ctx, "/api/annotations?"+encode(params), "application/json", maxAnnotations)
	if err != nil {
		return nil, false, err
	}
	var answer []struct {
		Time  int64    `json:"time"` // ms
		Text  string   `json:"text"`
		Tags  []string `json:"tags"`
		Login string   `json:"login"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, false, &Error{Text: "Grafana answered what is no list of annotations", NextStep: "Check grafana.url in the configuration, and what proxies stand before it.", cause: err}
	}
	for _, a := range answer {
		// A region that only ends in the window is answered too.
		if at := time.UnixMilli(a.Time).UTC(); !at.Before(from.Truncate(time.Millisecond)) && !at.After(to) {
			all = append(all, Annotation{Time: at, Text: a.Text, Tags: a.Tags, Who: a.Login})
		}
	}
	slices.SortStableFunc(all, func(a, b Annotation) int { return a.Time.Compare(b.Time) })
	return all, len(answer) >= MaxAnnotations, nil
}
