package slacklocal

import (
	"fmt"
	"strings"
	"testing"
)

func x(n int) string { return strings.Repeat("é", n) }

func repeated(n int, s string) string {
	return strings.TrimSuffix(strings.Repeat(s+",", n), ",")
}

// TestBlocksAtTheirLimits holds each limit at N, which passes, and at N+1.
func TestBlocksAtTheirLimits(t *testing.T) {
	limits := map[string]struct {
		n      int
		blocks func(n int) string
	}{
		"blocks":  {maxBlocks, func(n int) string { return repeated(n, `{"type":"divider"}`) }},
		"header":  {maxHeaderText, func(n int) string { return `{"type":"header","text":{"type":"plain_text","text":"` + x(n) + `"}}` }},
		"section": {maxSectionText, func(n int) string { return `{"type":"section","text":{"type":"mrkdwn","text":"` + x(n) + `"}}` }},
		"fields": {maxFields, func(n int) string {
			return `{"type":"section","fields":[` + repeated(n, `{"type":"plain_text","text":"f"}`) + `]}`
		}},
		"field": {maxFieldText, func(n int) string { return `{"type":"section","fields":[{"type":"plain_text","text":"` + x(n) + `"}]}` }},
		"context": {maxContext, func(n int) string {
			return `{"type":"context","elements":[` + repeated(n, `{"type":"mrkdwn","text":"c"}`) + `]}`
		}},
		"actions": {maxActions, func(n int) string {
			return `{"type":"actions","elements":[` + repeated(n, `{"type":"button","text":{"type":"plain_text","text":"b"}}`) + `]}`
		}},
		"same action_id": {1, func(n int) string { return `{"type":"actions","elements":[` + repeated(n, button("b", "v")) + `]}` }},
		"overflow": {maxOverflow, func(n int) string {
			return strings.Replace(menu(repeated(n, `{"text":{"type":"plain_text","text":"o"},"value":"v"}`)), "static_select", "overflow", 1)
		}},
		"placeholder":   {maxPlaceholder, func(n int) string { return with(`"placeholder":{"type":"plain_text","text":"` + x(n) + `"}`) }},
		"confirm title": {maxConfirmTitle, func(n int) string { return question(n, 1, 1, 1) }},
		"confirm text":  {maxConfirmText, func(n int) string { return question(1, n, 1, 1) }},
		"confirm yes":   {maxConfirmLabel, func(n int) string { return question(1, 1, n, 1) }},
		"confirm no":    {maxConfirmLabel, func(n int) string { return question(1, 1, 1, n) }},
		"initial options": {1, func(n int) string {
			return with(fmt.Sprintf(`"initial_option":{"text":{"type":"plain_text","text":"o"},"value":"%s"}`, repeated(n, "v")))
		}},
		"button text":  {maxButtonText, func(n int) string { return `{"type":"actions","elements":[` + button(x(n), "v") + `]}` }},
		"button value": {maxButtonValue, func(n int) string { return `{"type":"actions","elements":[` + button("b", x(n)) + `]}` }},
		"options":      {maxOptions, func(n int) string { return menu(repeated(n, `{"text":{"type":"plain_text","text":"o"},"value":"v"}`)) }},
		"option text":  {maxOptionText, func(n int) string { return menu(`{"text":{"type":"plain_text","text":"` + x(n) + `"},"value":"v"}`) }},
		"option value": {maxOptionValue, func(n int) string { return menu(`{"text":{"type":"plain_text","text":"o"},"value":"` + x(n) + `"}`) }},
		"table rows": {maxTableRows, func(n int) string {
			return `{"type":"table","rows":[` + repeated(n, `[{"type":"raw_text","text":"c"}]`) + `]}`
		}},
		"table columns": {maxTableColumns, func(n int) string {
			return `{"type":"table","rows":[[` + repeated(n, `{"type":"raw_text","text":"c"}`) + `]]}`
		}},
		"tables": {1, func(n int) string { return repeated(n, `{"type":"table","rows":[[{"type":"raw_text","text":"c"}]]}`) }},
		"image alt": {maxAlt, func(n int) string {
			return `{"type":"image","image_url":"https://x.example/","alt_text":"` + x(n) + `"}`
		}},
		"image of Slack": {maxAlt, func(n int) string { return `{"type":"image","slack_file":{"id":"F1"},"alt_text":"` + x(n) + `"}` }},
		"block_id":       {maxID, func(n int) string { return `{"type":"divider","block_id":"` + x(n) + `"}` }},
		"same block_id":  {1, func(n int) string { return repeated(n, `{"type":"divider","block_id":"same"}`) }},
		"link URL":       {maxURL, func(n int) string { return rich(`{"type":"link","text":"l","url":"` + x(n) + `"}`) }},
	}
	for name, c := range limits {
		t.Run(name, func(t *testing.T) {
			if err := checked(t, c.blocks(c.n)); err != nil {
				t.Errorf("%d: %v", c.n, err)
			}
			if err := checked(t, c.blocks(c.n+1)); err == nil || err.Error() != "invalid_blocks" {
				t.Errorf("%d: error %v, want invalid_blocks", c.n+1, err)
			}
		})
	}
}

func button(text, value string) string {
	return `{"type":"button","action_id":"a","text":{"type":"plain_text","text":"` + text + `"},"value":"` + value + `"}`
}

func menu(options string) string {
	return `{"type":"section","text":{"type":"plain_text","text":"t"},"accessory":{"type":"static_select","action_id":"a","options":[` + options + `]}}`
}

// with is a menu with something more.
func with(more string) string {
	return strings.Replace(menu(`{"text":{"type":"plain_text","text":"o"},"value":"v"}`), `"action_id":"a",`, `"action_id":"a",`+more+`,`, 1)
}

func question(title, text, yes, no int) string {
	return with(fmt.Sprintf(`"confirm":{"title":{"type":"plain_text","text":%q},"text":{"type":"mrkdwn","text":%q},"confirm":{"type":"plain_text","text":%q},"deny":{"type":"plain_text","text":%q}}`,
		x(title), x(text), x(yes), x(no)))
}

func rich(inline string) string {
	return `{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[` + inline + `]}]}`
}

func checked(t *testing.T, blocks string) error {
	t.Helper()
	parsed, err := parseBlocks([]byte("[" + blocks + "]"))
	if err != nil {
		t.Fatal(err)
	}
	return check(parsed)
}

func TestAllTextOfAMessageTogether(t *testing.T) {
	blocks := func(n int) string {
		return repeated(4, rich(`{"type":"text","text":"`+x(3000)+`"}`)) + "," + rich(`{"type":"text","text":"`+x(n-12_000)+`"}`)
	}
	if err := checked(t, blocks(maxBlockChars)); err != nil {
		t.Errorf("%d characters: %v", maxBlockChars, err)
	}
	if err := checked(t, blocks(maxBlockChars+1)); err == nil || err.Error() != "msg_blocks_too_long" {
		t.Errorf("%d characters: error %v, want msg_blocks_too_long", maxBlockChars+1, err)
	}
}

func TestBlocksThatSlackDoesNotTake(t *testing.T) {
	for name, blocks := range map[string]string{
		"unknown block":         `{"type":"marquee"}`,
		"no type":               `{}`,
		"empty header":          `{"type":"header","text":{"type":"plain_text","text":""}}`,
		"mrkdwn header":         `{"type":"header","text":{"type":"mrkdwn","text":"h"}}`,
		"header without text":   `{"type":"header"}`,
		"empty section":         `{"type":"section"}`,
		"empty field":           `{"type":"section","fields":[{"type":"plain_text","text":""}]}`,
		"empty context":         `{"type":"context","elements":[]}`,
		"button in a context":   `{"type":"context","elements":[` + button("b", "v") + `]}`,
		"mrkdwn button":         `{"type":"actions","elements":[{"type":"button","text":{"type":"mrkdwn","text":"b"}}]}`,
		"unknown style":         `{"type":"actions","elements":[{"type":"button","style":"loud","text":{"type":"plain_text","text":"b"}}]}`,
		"an input":              `{"type":"input","label":{"type":"plain_text","text":"l"},"element":{"type":"plain_text_input"}}`,
		"unknown action":        `{"type":"actions","elements":[{"type":"lever"}]}`,
		"image without alt":     `{"type":"image","image_url":"https://x.example/"}`,
		"empty rich text":       `{"type":"rich_text","elements":[]}`,
		"empty section in it":   rich(``),
		"empty text in it":      rich(`{"type":"text","text":""}`),
		"unknown inline":        rich(`{"type":"blink","text":"x"}`),
		"unknown part":          `{"type":"rich_text","elements":[{"type":"rich_text_riddle","elements":[]}]}`,
		"empty table":           `{"type":"table","rows":[]}`,
		"empty cell":            `{"type":"table","rows":[[null]]}`,
		"unknown cell":          `{"type":"table","rows":[[{"type":"raw_soup"}]]}`,
		"list with bare inline": `{"type":"rich_text","elements":[{"type":"rich_text_list","style":"bullet","elements":[{"type":"text","text":"x"}]}]}`,
	} {
		if err := checked(t, blocks); err == nil || err.Error() != "invalid_blocks" {
			t.Errorf("%s: error %v, want invalid_blocks", name, err)
		}
	}
}

func TestRefusedBlocksAreRefusedByPostAndUpdateWithTheirPlace(t *testing.T) {
	f := setUp(t, Options{})
	ts := f.post(t, "x")
	for method, args := range map[string][]string{
		"chat.postMessage": {"channel", "incidents"}, "chat.update": {"channel", f.id(), "ts", ts},
	} {
		args = append(args, "text", "x", "blocks")
		r := f.call(t, method, append(args, `[{"type":"divider"},{"type":"marquee"}]`)...)
		if r.err() != "invalid_blocks" || !strings.Contains(fmt.Sprint(r["response_metadata"]), "json-pointer:/blocks/1/type") {
			t.Errorf("%s: %v", method, r)
		}
		if r := f.call(t, method, append(args, `{"type":"divider"}`)...); r.err() != "invalid_blocks_format" {
			t.Errorf("%s: %v", method, r)
		}
	}
}
