package triage

import "strings"

// Conclusion is the last word of a run: the explanation that its findings
// support best, with what speaks for and against it, or that they support none.
// All its text is plain.
type Conclusion struct {
	Explanation string   `json:"explanation,omitempty"` // its id in the playbook; "" when none is supported
	Says        string   `json:"says"`                  // the explanation, or why there is none
	For         []string `json:"for,omitempty"`
	Against     []string `json:"against,omitempty"`
	// Rivals are explanations with as much support, Open those that what is
	// unknown leaves open.
	Rivals  []string `json:"rivals,omitempty"`
	Open    []string `json:"open,omitempty"`
	Unknown []string `json:"unknown,omitempty"` // titles of steps that could not tell
	Next    string   `json:"next,omitempty"`    // what to do
}

// Supported says whether the findings support an explanation.
func (c *Conclusion) Supported() bool { return c.Explanation != "" }

// Headline is the explanation by itself.
func (c *Conclusion) Headline() string {
	if c.Supported() {
		return "Most likely: " + c.Says
	}
	return "Cause unclear: " + c.Says
}

// Parts are what follows the headline: what speaks for and against it, what is
// not known, and what to do next. None has an empty text.
func (c *Conclusion) Parts() []Field {
	var parts []Field
	add := func(name string, texts []string) {
		if len(texts) > 0 {
			parts = append(parts, Field{Name: name, Value: strings.Join(texts, "; ")})
		}
	}
	add("For it", c.For)
	if against := c.Against; len(against) > 0 {
		add("Against it", against)
	} else if c.Supported() {
		add("Against it", []string{"nothing found"})
	}
	add("As well supported", c.Rivals)
	add("Not known", c.Unknown)
	add("So it may also be", c.Open)
	if c.Next != "" {
		add("Next", []string{c.Next})
	}
	return parts
}

// Sentence is all of it as one sentence.
func (c *Conclusion) Sentence() string {
	var b strings.Builder
	b.WriteString(c.Headline())
	for _, part := range c.Parts() {
		b.WriteString("; " + strings.ToLower(part.Name[:1]) + part.Name[1:] + ": " + part.Value)
	}
	return b.String() + "."
}
