// What a capture comes to: variables, a sentence and the response as a file.

package step

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"triagebot/triage/playbook"
	"triagebot/triage/step/unit"
)

// maxHeaderValue bounds one header's value, in bytes.
const maxHeaderValue = 1 << 10

func (a *captureAction) outcome(env *playbook.Env, got *response) *playbook.Outcome {
	body := safeText(string(got.body))
	headers := make(map[string]any, len(a.showHeaders))
	for _, name := range a.showHeaders {
		headers[name] = headerValue(got.header, name)
	}
	decoded, err := a.decodeJSON(got)
	if err != nil {
		env.Debugf("the body is not read as JSON: %v", err)
	}
	if got.refused != "" {
		env.Debugf("a redirect to %s was not followed", got.refused)
	}
	if got.readErr != nil {
		env.Debugf("the body ended early: %v", got.readErr)
	}
	if got.truncated {
		env.Debugf("the body is cut after %d bytes (max_body)", a.maxBody)
	}
	ok := got.status/100 == 2
	expected := ""
	if a.expectStatus != 0 {
		ok = got.status == a.expectStatus
		if !ok {
			expected = fmt.Sprintf(", not %d", a.expectStatus)
		}
	}
	milliseconds := float64(got.took.Microseconds()) / 1000
	latency := unit.Millis.Format(milliseconds)
	status := strings.TrimSpace(strconv.Itoa(got.status) + " " + http.StatusText(got.status))
	return &playbook.Outcome{
		Rows: []playbook.OutcomeRow{{
			Value: status + " in " + latency,
			Vars: map[string]any{
				"status":     int64(got.status),
				"ok":         ok,
				"latency_ms": milliseconds,
				"body":       body,
				"truncated":  got.truncated,
				"headers":    headers,
				"json":       decoded,
			},
		}},
		Headline: fmt.Sprintf("GET %s answered %s%s in %s; asked at %s.", showURL(got.request.URL), status, expected, latency, got.at.UTC().Format(clock)),
		Artifacts: []playbook.Artifact{{
			Name: stem(env, "capture") + ".txt", Title: "Response", MediaType: "text/plain",
			Source: "GET " + showURL(got.request.URL), Data: a.file(got, status, body),
		}},
	}
}

// file is the response as people read it: what was asked, the status line, the
// headers asked for, the body.
func (a *captureAction) file(got *response, status, body string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s\nasked at %s, answered in %s\n\n", showURL(got.request.URL), got.at.UTC().Format("2006-01-02 15:04:05.000 UTC"), got.took)
	fmt.Fprintf(&b, "%s %s\n", got.proto, status)
	for _, name := range a.showHeaders {
		fmt.Fprintf(&b, "%s: %s\n", name, headerValue(got.header, name))
	}
	b.WriteByte('\n')
	b.WriteString(body)
	if body != "" && !strings.HasSuffix(body, "\n") {
		b.WriteByte('\n')
	}
	switch {
	case got.truncated:
		fmt.Fprintf(&b, "[cut here: the body is longer than %d bytes]\n", a.maxBody)
	case got.readErr != nil:
		fmt.Fprintf(&b, "[the body ended early: %v]\n", got.readErr)
	}
	return b.Bytes()
}

func headerValue(h http.Header, name string) string {
	value := strings.Join(h.Values(name), ", ")
	return safeText(value[:min(len(value), maxHeaderValue)])
}

// decodeJSON reads the body as JSON when the step or the media type says that
// it is. What is none gives an empty map, so that a condition on a field fails
// by the field's name.
func (a *captureAction) decodeJSON(got *response) (any, error) {
	nothing := map[string]any{}
	if a.json != nil && !*a.json || a.json == nil && !isJSON(got.header.Get("Content-Type")) {
		return nothing, nil
	}
	value, err := wholeJSON(got.body, got.truncated)
	if err != nil {
		return nothing, err
	}
	return value, nil
}

// wholeJSON decodes data that holds one JSON value and no null.
func wholeJSON(data []byte, truncated bool) (any, error) {
	if truncated {
		return nil, errors.New("it is cut")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON value")
	}
	if value == nil {
		return nil, errors.New("it is null")
	}
	return safeJSON(value), nil
}

// safeJSON applies safeText to every text of a decoded value: PostgreSQL takes
// no \u0000.
func safeJSON(v any) any {
	switch v := v.(type) {
	case string:
		return safeText(v)
	case []any:
		for i := range v {
			v[i] = safeJSON(v[i])
		}
	case map[string]any:
		safe := make(map[string]any, len(v))
		for key, value := range v {
			safe[safeText(key)] = safeJSON(value)
		}
		return safe
	}
	return v
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// parsePositive reads a whole number without a sign, below a thousand million.
func parsePositive(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 30)
	return int(n), err
}
