// OpenTelemetry's traces in JSON, as Tempo writes them: mostly as
// https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding has it, but
// with ids in base64, which that writes in hex.

package backend

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"triagebot/triage/tracelog"
)

// number is a 64-bit number, which JSON made of protobuf has as a string.
type number int64

func (n *number) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	if text == "" || text == "null" {
		return nil
	}
	i, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		if errors.Is(err, strconv.ErrRange) && text[0] != '-' {
			i = math.MaxInt64 // a time that is no time; it is a matter of one span
		} else {
			return fmt.Errorf("%.40q is no whole number", text)
		}
	}
	*n = number(i)
	return nil
}

// instant reads nanoseconds since 1970; 0 is no time.
func (n number) instant() time.Time {
	if n <= 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}

// otlpID is a trace's or span's id, in hex however it was written.
type otlpID string

func (id *otlpID) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	switch len(text) {
	case 12, 24: // 8 and 16 bytes in base64
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fmt.Errorf("%.40q is no id in base64", text)
		}
		*id = otlpID(hex.EncodeToString(raw))
	default:
		*id = otlpID(strings.ToLower(text))
	}
	if strings.Trim(string(*id), "0") == "" {
		*id = "" // no parent
	}
	return nil
}

// otlpWord is an enumeration's value: its number, or its name.
type otlpWord string

func (w *otlpWord) UnmarshalJSON(data []byte) error {
	*w = otlpWord(strings.Trim(string(data), `"`))
	return nil
}

type otlpAttribute struct {
	Key   string    `json:"key"`
	Value otlpValue `json:"value"`
}

// otlpValue is any value. The field that is set says its type.
type otlpValue struct {
	String *string         `json:"stringValue"`
	Bool   *bool           `json:"boolValue"`
	Int    json.RawMessage `json:"intValue"`
	Double json.RawMessage `json:"doubleValue"`
	Bytes  *string         `json:"bytesValue"`
	Array  *struct {
		Values []otlpValue `json:"values"`
	} `json:"arrayValue"`
	List *struct {
		Values []otlpAttribute `json:"values"`
	} `json:"kvlistValue"`
}

func (v *otlpValue) plain() any {
	switch {
	case v.String != nil:
		return *v.String
	case v.Bool != nil:
		return *v.Bool
	case v.Int != nil:
		return plainNumber(v.Int)
	case v.Double != nil:
		return plainNumber(v.Double)
	case v.Bytes != nil:
		return *v.Bytes
	case v.Array != nil:
		values := make([]any, len(v.Array.Values))
		for i := range v.Array.Values {
			values[i] = v.Array.Values[i].plain()
		}
		return values
	case v.List != nil:
		return otlpAttributes(v.List.Values)
	default:
		return nil
	}
}

// plainNumber reads a number that may be in quotes. NaN and Infinity are, and
// stay, strings.
func plainNumber(raw json.RawMessage) any {
	text := strings.Trim(string(raw), `"`)
	if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
		return text
	}
	return json.Number(text)
}

func otlpAttributes(list []otlpAttribute) map[string]any {
	attributes := make(map[string]any, len(list))
	for i := range list {
		attributes[list[i].Key] = list[i].Value.plain()
	}
	return attributes
}

type otlpSpan struct {
	TraceID    otlpID          `json:"traceId"`
	SpanID     otlpID          `json:"spanId"`
	Parent     otlpID          `json:"parentSpanId"`
	Name       string          `json:"name"`
	Kind       otlpWord        `json:"kind"`
	Start      number          `json:"startTimeUnixNano"`
	End        number          `json:"endTimeUnixNano"`
	Attributes []otlpAttribute `json:"attributes"`
	Events     []struct {
		Time       number          `json:"timeUnixNano"`
		Name       string          `json:"name"`
		Attributes []otlpAttribute `json:"attributes"`
	} `json:"events"`
	Status struct {
		Code    otlpWord `json:"code"`
		Message string   `json:"message"`
	} `json:"status"`
}

type otlpScope struct {
	Spans []otlpSpan `json:"spans"`
}

type otlpResource struct {
	Resource struct {
		Attributes []otlpAttribute `json:"attributes"`
	} `json:"resource"`
	Scopes []otlpScope `json:"scopeSpans"`
	Older  []otlpScope `json:"instrumentationLibrarySpans"` // before OTLP 0.16
}

// otlpTrace is a trace as both of Tempo's endpoints write it.
type otlpTrace struct {
	Resources []otlpResource `json:"resourceSpans"`
	Batches   []otlpResource `json:"batches"` // of the first endpoint
}

// readTrace reads an answer of either endpoint. partial says why it is not the
// whole trace.
func (t *Tempo) readTrace(body []byte) (spans []span, partial string, err error) {
	var answer struct {
		otlpTrace
		Trace   *otlpTrace `json:"trace"` // v2 wraps it
		Status  otlpWord   `json:"status"`
		Message string     `json:"message"`
	}
	if err := t.decode(body, &answer); err != nil {
		return nil, "", err
	}
	trace := &answer.otlpTrace
	if answer.Trace != nil {
		trace = answer.Trace
	}
	if answer.Status == "PARTIAL" || answer.Status == "1" {
		partial = cmp.Or(answer.Message, "Tempo gives no reason; it may exceed max_bytes_per_trace")
	}
	for _, list := range [][]otlpResource{trace.Resources, trace.Batches} {
		for i := range list {
			spans = list[i].appendTo(spans)
		}
	}
	return spans, partial, nil
}

func (r *otlpResource) appendTo(spans []span) []span {
	resource := otlpAttributes(r.Resource.Attributes)
	service := tracelog.TextOf(resource, "service.name")
	for _, scopes := range [][]otlpScope{r.Scopes, r.Older} {
		for i := range scopes {
			for j := range scopes[i].Spans {
				spans = scopes[i].Spans[j].appendTo(spans, service, resource)
			}
		}
	}
	return spans
}

func (s *otlpSpan) appendTo(spans []span, service string, resource map[string]any) []span {
	spans = append(spans, span{
		traceID: string(s.TraceID), id: string(s.SpanID), parent: string(s.Parent),
		name: s.Name, service: service, kind: spanKind(string(s.Kind)),
		start: s.Start.instant(), end: s.End.instant(),
		failed: s.Status.Code == "STATUS_CODE_ERROR" || s.Status.Code == "2", message: s.Status.Message,
		attributes: otlpAttributes(s.Attributes), resource: resource,
	})
	for _, e := range s.Events {
		at := e.Time.instant()
		spans = append(spans, span{
			traceID: string(s.TraceID), parent: string(s.SpanID), name: e.Name, service: service, kind: "event",
			start: at, end: at, failed: e.Name == "exception", attributes: otlpAttributes(e.Attributes), resource: resource,
		})
	}
	return spans
}

// spanKind is a kind in a word, by OTLP's number or name.
func spanKind(kind string) string {
	switch kind = strings.ToLower(strings.TrimPrefix(kind, "SPAN_KIND_")); kind {
	case "1":
		return "internal"
	case "2":
		return "server"
	case "3":
		return "client"
	case "4":
		return "producer"
	case "5":
		return "consumer"
	case "", "0", "unspecified", "null":
		return ""
	default:
		return kind
	}
}
