package slacklocal

// Checking blocks against Slack's limits: what it answers invalid_blocks or
// msg_blocks_too_long to.

import (
	"fmt"
	"unicode/utf8"
)

// Slack's limits, in characters and counts.
// https://docs.slack.dev/reference/block-kit/blocks
const (
	maxBlocks       = 50
	maxBlockChars   = 13_200 // over all blocks of a message
	maxSectionText  = 3_000
	maxFields       = 10
	maxFieldText    = 2_000
	maxHeaderText   = 150
	maxContext      = 10
	maxActions      = 25
	maxButtonText   = 75
	maxButtonValue  = 2_000
	maxOptions      = 100
	maxOptionText   = 75
	maxOptionValue  = 150
	maxURL          = 3_000
	maxTableRows    = 100
	maxTableColumns = 20
	maxImageTitle   = 2_000
	maxID           = 255
	maxOverflow     = 5
	maxConfirmTitle = 100
	maxConfirmText  = 300
	maxConfirmLabel = 30
)

// checker collects what is wrong with a message's blocks.
type checker struct {
	wrong []string
	chars int
	ids   map[string]bool
	table bool
	view  bool // of a view, not of a message
}

// check returns invalid_blocks or msg_blocks_too_long with the details, or nil.
func check(blocks []block) error {
	c := &checker{ids: make(map[string]bool)}
	if len(blocks) > maxBlocks {
		c.say("/blocks", "no more than %d items allowed, got %d", maxBlocks, len(blocks))
	}
	for i := range blocks {
		c.block(fmt.Sprintf("/blocks/%d", i), &blocks[i])
	}
	if len(c.wrong) > 0 {
		return fail("invalid_blocks", c.wrong...)
	}
	if c.chars > maxBlockChars {
		return fail("msg_blocks_too_long", fmt.Sprintf("%d characters over all blocks, allowed are %d", c.chars, maxBlockChars))
	}
	return nil
}

func (c *checker) say(at, format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...)+" [json-pointer:"+at+"]")
}

// text checks a text's length and counts it.
func (c *checker) text(at, s string, most int) {
	n := utf8.RuneCountInString(s)
	c.chars += n
	switch {
	case n == 0:
		c.say(at, "must be more than 0 characters")
	case n > most:
		c.say(at, "must be less than %d characters", most+1)
	}
}

// atMost checks the length of what may be absent and is not shown.
func (c *checker) atMost(at, s string, most int) {
	if utf8.RuneCountInString(s) > most {
		c.say(at, "must be less than %d characters", most+1)
	}
}

func (c *checker) number(at string, n, most int) {
	if n < 1 || n > most {
		c.say(at, "must have 1 to %d items, has %d", most, n)
	}
}

func (c *checker) object(at string, t *textObject, most int, mrkdwn bool) {
	switch {
	case t == nil:
		c.say(at, "missing required field: text")
	case t.Type != "plain_text" && (t.Type != "mrkdwn" || !mrkdwn):
		c.say(at+"/type", "unsupported type: %s", t.Type)
	default:
		c.text(at+"/text", t.Text, most)
	}
}

func (c *checker) block(at string, b *block) {
	c.atMost(at+"/block_id", b.BlockID, maxID)
	if b.BlockID != "" && c.ids[b.BlockID] {
		c.say(at+"/block_id", "block_id is used twice")
	}
	c.ids[b.BlockID] = true
	switch b.Type {
	case "header":
		c.object(at+"/text", b.Text, maxHeaderText, false)
	case "section":
		c.section(at, b)
	case "divider":
	case "context":
		c.number(at+"/elements", len(b.Elements), maxContext)
		for i := range b.Elements {
			c.contextElement(fmt.Sprintf("%s/elements/%d", at, i), &b.Elements[i])
		}
	case "actions":
		c.clickable(at)
		c.number(at+"/elements", len(b.Elements), maxActions)
		seen := make(map[string]bool)
		for i := range b.Elements {
			e, at := &b.Elements[i], fmt.Sprintf("%s/elements/%d", at, i)
			c.interactive(at, e)
			if e.ActionID != "" && seen[e.ActionID] {
				c.say(at+"/action_id", "action_id is used twice")
			}
			seen[e.ActionID] = true
		}
	case "image":
		c.image(at, b)
	case "rich_text":
		c.each(at, b.Elements, c.richText)
	case "table":
		c.tableRows(at, b.Rows)
	case "input":
		c.input(at, b)
	default:
		c.say(at+"/type", "unsupported type: %s", b.Type)
	}
}

func (c *checker) section(at string, b *block) {
	if b.Text == nil && len(b.Fields) == 0 {
		c.say(at, "missing required field: text or fields")
	}
	if b.Text != nil {
		c.object(at+"/text", b.Text, maxSectionText, true)
	}
	if len(b.Fields) > maxFields {
		c.say(at+"/fields", "no more than %d items allowed", maxFields)
	}
	for i := range b.Fields {
		c.object(fmt.Sprintf("%s/fields/%d", at, i), &b.Fields[i], maxFieldText, true)
	}
	if b.Accessory != nil {
		c.clickable(at + "/accessory")
		c.interactive(at+"/accessory", b.Accessory)
	}
}

func (c *checker) contextElement(at string, e *element) {
	switch e.Type {
	case "plain_text", "mrkdwn":
		c.text(at+"/text", str(e.Text), maxSectionText)
	case "image":
		c.imageFields(at, e.ImageURL, e.AltText)
	default:
		c.say(at+"/type", "unsupported type: %s", e.Type)
	}
}

func (c *checker) image(at string, b *block) {
	if b.SlackFile == nil {
		c.imageFields(at, b.ImageURL, b.AltText)
	} else {
		c.text(at+"/alt_text", b.AltText, maxAlt)
	}
	if b.Title != nil {
		c.object(at+"/title", b.Title, maxImageTitle, false)
	}
}

func (c *checker) imageFields(at, imageURL, alt string) {
	c.text(at+"/image_url", imageURL, maxURL)
	c.text(at+"/alt_text", alt, maxAlt)
}

// clickable refuses in a view what is clicked on: Slack takes it, and nothing
// here would tell the app of it.
func (c *checker) clickable(at string) {
	if c.view {
		c.say(at, "buttons and menus outside of inputs are not supported in the local channel's modals")
	}
}

// input checks a labelled text input or menu. Slack takes them in messages
// too, where nothing here would show them.
func (c *checker) input(at string, b *block) {
	if !c.view {
		c.say(at+"/type", "unsupported type: %s", b.Type)
		return
	}
	c.object(at+"/label", b.Label, maxInputLabel, false)
	if b.Hint != nil {
		c.object(at+"/hint", b.Hint, maxInputLabel, false)
	}
	e := b.Input
	switch {
	case e == nil:
		c.say(at, "missing required field: element")
	case e.Type == "static_select":
		c.interactive(at+"/element", e)
	case e.Type == "plain_text_input":
		c.atMost(at+"/element/action_id", e.ActionID, maxID)
		c.placeholder(at+"/element", e)
		if e.MinLength < 0 || e.MinLength > maxInputLength {
			c.say(at+"/element/min_length", "must be 0 to %d", maxInputLength)
		}
		if e.MaxLength < 0 || e.MaxLength > maxInputLength || (e.MaxLength > 0 && e.MaxLength < e.MinLength) {
			c.say(at+"/element/max_length", "must be 1 to %d and no less than min_length", maxInputLength)
		}
		c.atMost(at+"/element/initial_value", e.InitialValue, maxInputLength)
	default:
		c.say(at+"/element/type", "unsupported type: %s", e.Type)
	}
}

func (c *checker) placeholder(at string, e *element) {
	if e.Placeholder != nil {
		c.object(at+"/placeholder", e.Placeholder, maxPlaceholder, false)
	}
}

// interactive checks a button, select or overflow menu.
func (c *checker) interactive(at string, e *element) {
	c.atMost(at+"/action_id", e.ActionID, maxID)
	c.placeholder(at, e)
	if e.Confirm != nil {
		c.object(at+"/confirm/title", e.Confirm.Title, maxConfirmTitle, false)
		c.object(at+"/confirm/text", e.Confirm.Text, maxConfirmText, true)
		c.object(at+"/confirm/confirm", e.Confirm.Confirm, maxConfirmLabel, false)
		c.object(at+"/confirm/deny", e.Confirm.Deny, maxConfirmLabel, false)
		c.style(at+"/confirm/style", e.Confirm.Style)
	}
	switch e.Type {
	case "button":
		c.object(at+"/text", e.label(), maxButtonText, false)
		c.atMost(at+"/value", str(e.Value), maxButtonValue)
		c.atMost(at+"/url", e.URL, maxURL)
		c.style(at+"/style", str(e.Style))
	case "static_select":
		c.options(at, e, maxOptions)
		if e.InitialOption != nil && e.option(e.InitialOption.Value) == nil {
			c.say(at+"/initial_option", "must be one of the options")
		}
	case "overflow":
		c.options(at, e, maxOverflow)
	default:
		c.say(at+"/type", "unsupported type: %s", e.Type)
	}
}

func (c *checker) style(at, style string) {
	if style != "" && style != "primary" && style != "danger" {
		c.say(at, "must be primary or danger")
	}
}

func (c *checker) options(at string, e *element, most int) {
	c.number(at+"/options", len(e.Options), most)
	for i := range e.Options {
		o := &e.Options[i]
		c.object(fmt.Sprintf("%s/options/%d/text", at, i), &o.Text, maxOptionText, false)
		c.atMost(fmt.Sprintf("%s/options/%d/value", at, i), o.Value, maxOptionValue)
	}
}

// each checks the elements within an element of rich text, at least one.
func (c *checker) each(at string, elements []element, check func(at string, e *element)) {
	if len(elements) == 0 {
		c.say(at+"/elements", "must have at least one item")
	}
	for i := range elements {
		check(fmt.Sprintf("%s/elements/%d", at, i), &elements[i])
	}
}

// richText checks what a rich text block or list consists of.
func (c *checker) richText(at string, e *element) {
	switch e.Type {
	case "rich_text_section", "rich_text_preformatted", "rich_text_quote":
		c.each(at, e.Elements, c.inline)
	case "rich_text_list":
		c.each(at, e.Elements, c.richText)
	default:
		c.say(at+"/type", "unsupported type: %s", e.Type)
	}
}

// inline checks what runs along within a line of rich text.
func (c *checker) inline(at string, e *element) {
	switch e.Type {
	case "text":
		c.text(at+"/text", str(e.Text), maxBlockChars)
	case "link":
		c.text(at+"/url", e.URL, maxURL)
		if e.Text != nil {
			c.text(at+"/text", str(e.Text), maxBlockChars)
		}
	case "emoji":
		c.text(at+"/name", e.Name, maxID)
	case "date":
		c.text(at+"/format", e.Format, maxID)
	case "user":
		c.text(at+"/user_id", e.UserID, maxID)
	case "usergroup":
		c.text(at+"/usergroup_id", e.GroupID, maxID)
	case "channel":
		c.text(at+"/channel_id", e.ChannelID, maxID)
	case "broadcast":
		c.text(at+"/range", e.Range, maxID)
	default:
		c.say(at+"/type", "unsupported type: %s", e.Type)
	}
}

func (c *checker) tableRows(at string, rows [][]*element) {
	if c.table {
		c.say(at, "only one table is allowed in a message")
	}
	c.table = true
	c.number(at+"/rows", len(rows), maxTableRows)
	for i, row := range rows {
		c.number(fmt.Sprintf("%s/rows/%d", at, i), len(row), maxTableColumns)
		for j, cell := range row {
			at := fmt.Sprintf("%s/rows/%d/%d", at, i, j)
			switch {
			case cell == nil:
				c.say(at, "must not be null")
			case cell.Type == "raw_text":
				c.text(at+"/text", str(cell.Text), maxBlockChars)
			case cell.Type == "raw_number":
			case cell.Type == "rich_text":
				c.each(at, cell.Elements, c.richText)
			default:
				c.say(at+"/type", "unsupported type: %s", cell.Type)
			}
		}
	}
}
