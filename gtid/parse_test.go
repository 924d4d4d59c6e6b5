package gtid

import (
	"strings"
	"testing"
	"unsafe"
)

func TestWhatServersAcceptIsRead(t *testing.T) {
	long := strings.Repeat("t", 32)
	rows := []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"only space", " \t\r\n\v\f", ""},
		{"only commas", ",, ,\n,", ""},
		{"one number", idA + ":7", idA + ":7"},
		{"an interval of one number", idA + ":7-7", idA + ":7"},
		{"as gtid_executed prints it", idA + ":1-5:7,\n" + idB + ":1-3", idA + ":1-5:7," + idB + ":1-3"},
		{"numbers in any order", idA + ":7:1-5", idA + ":1-5:7"},
		{"overlapping intervals", idA + ":3-8:1-5:6", idA + ":1-8"},
		{"adjacent intervals", idA + ":4-6:1-3", idA + ":1-6"},
		{"adjacent intervals in order", idA + ":1-3:4-6", idA + ":1-6"},
		{"an interval within the last one", idA + ":1-9:3-4:11", idA + ":1-9:11"},
		{"uuids in any order", idB + ":1," + idA + ":1", idA + ":1," + idB + ":1"},
		{"a uuid twice", idA + ":1-3," + idB + ":1," + idA + ":2-5", idA + ":1-5," + idB + ":1"},
		{"a uuid twice in a row", idA + ":1-3," + idA + ":2-5", idA + ":1-5"},
		{"upper-case uuids", "ABCDEF00-1111-1111-1111-1111111111aF:1", "abcdef00-1111-1111-1111-1111111111af:1"},
		{"uuids without dashes", strings.Repeat("1", 32) + ":1:t:2," + strings.Repeat("2", 32) + ":3", idA + ":1:t:2," + idB + ":3"},
		{"uuids in braces", "{" + idA + "}:1,{" + idB + "} :2", idA + ":1," + idB + ":2"},
		{"empty elements", "," + idA + ":1,, ," + idB + ":2,", idA + ":1," + idB + ":2"},
		{"space between all parts", " " + idA + " : 1 - 5 : tag : 7 , " + idB + "\n:\n2 ", idA + ":1-5:tag:7," + idB + ":2"},
		{"a tag", idA + ":tag:1-5", idA + ":tag:1-5"},
		{"upper-case tags", idA + ":Tag_1:1:TAG_1:3", idA + ":tag_1:1:3"},
		{"a tag that starts with an underscore", idA + ":_:1", idA + ":_:1"},
		{"numbers before and after tags", idA + ":9:b:2:1:a:4", idA + ":9:a:4:b:1-2"},
		{"tags of one uuid in two elements", idA + ":b:1," + idA + ":5:a:1", idA + ":5:a:1:b:1"},
		{"a tag twice", idA + ":a:1:b:1:a:2", idA + ":a:1-2:b:1"},
		{"the longest tag", idA + ":" + long + ":1", idA + ":" + long + ":1"},
		{"the highest number", idA + ":1-9223372036854775806", idA + ":1-9223372036854775806"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, err := Parse(row.text)
			if err != nil {
				t.Fatal(err)
			}
			mustAnswer(t, "text", got.String(), row.want)
			mustBeCanonical(t, got)
		})
	}
}

func TestErrorsSayWhereAndWhatWasExpected(t *testing.T) {
	rows := []struct{ name, text, want string }{
		{"not a uuid", "abc:1", `gtid set: position 4: expected a hexadecimal digit of a uuid, found ":1"`},
		{"a wrong digit", "1111111g-1111-1111-1111-111111111111:1", `gtid set: position 8: expected a hexadecimal digit of a uuid, found "g-1111-1111-1111-111111111111:1"`},
		{"a missing dash", strings.Repeat("1", 36) + ":1", `gtid set: position 33: expected ':' and a transaction number, found "1111:1"`},
		{"some dashes", "11111111-111111111111-1111-111111111111:1", `gtid set: position 14: expected '-' of a uuid, found "11111111-1111-111111111111:1"`},
		{"braces and no dashes", "{" + strings.Repeat("1", 32) + "}:1", `gtid set: position 10: expected '-' of a uuid, found "111111111111111111111111}:1"`},
		{"braces that stay open", "{" + idA + ":1", `gtid set: position 38: expected '}' of a uuid, found ":1"`},
		{"a uuid that is too long", idA + "1:1", `gtid set: position 37: expected ':' and a transaction number, found "1:1"`},
		{"a quarter of a uuid", idA[:9], `gtid set: position 10: expected a hexadecimal digit of a uuid, found the end`},
		{"half a uuid", idA[:18], `gtid set: position 19: expected '-' of a uuid, found the end`},
		{"a uuid alone", idA, `gtid set: position 37: expected ':' and a transaction number, found the end`},
		{"a uuid alone before a comma", idA + "," + idB + ":1", `gtid set: position 37: expected ':' and a transaction number, found ",22222222-2222-2222-2222-222222222222:1"`},
		{"no number", idA + ":", `gtid set: position 38: expected a transaction number, found the end`},
		{"no end", idA + ":1-", `gtid set: position 40: expected a transaction number, found the end`},
		{"two colons", idA + "::1", `gtid set: position 38: expected a transaction number, found ":1"`},
		{"a reversed interval", idA + ":7-3", `gtid set: position 40: interval end 3 is before its start 7`},
		{"number zero", idA + ":0", `gtid set: position 38: transaction number starts with 0; they count from 1 and are decimal`},
		{"an octal number", idA + ":1-010", `gtid set: position 40: transaction number starts with 0; they count from 1 and are decimal`},
		{"a negative number", idA + ":-1", `gtid set: position 38: expected a transaction number, found "-1"`},
		{"a signed number", idA + ":+1", `gtid set: position 38: expected a transaction number, found "+1"`},
		{"three ends", idA + ":1-2-3", `gtid set: position 41: expected ':', ',' or the end, found "-3"`},
		{"the number above the highest", idA + ":9223372036854775807", `gtid set: position 38: transaction number is above 9223372036854775806`},
		{"a number of twenty digits", idA + ":18446744073709551617", `gtid set: position 38: transaction number is above 9223372036854775806`},
		{"no comma", idA + ":1 " + idB + ":2", `gtid set: position 40: expected ':', ',' or the end, found "22222222-2222-2222-2222-222222222222:2"`},
		{"a tag alone", idA + ":tag", `gtid set: position 41: expected ':' and a transaction number after the tag, found the end`},
		{"a tag after a tag", idA + ":a:b:1", `gtid set: position 40: expected a transaction number after the tag, found "b:1"`},
		{"a dash in a tag", idA + ":a-b:1", `gtid set: position 39: expected ':' and a transaction number after the tag, found "-b:1"`},
		{"a space in a tag", idA + ":a b:1", `gtid set: position 40: expected ':' and a transaction number after the tag, found "b:1"`},
		{"a tag that starts with a digit", idA + ":1a:1", `gtid set: position 39: expected ':', ',' or the end, found "a:1"`},
		{"a tag of 33 characters", idA + ":" + strings.Repeat("t", 33) + ":1", `gtid set: position 38: tag of 33 characters is longer than 32`},
		{"a plus", "+" + idA + ":1", `gtid set: position 1: expected a hexadecimal digit of a uuid, found "+11111111-1111-1111-1111-111111111111:1"`},
		{"a zero byte", idA + ":1\x00", `gtid set: position 39: expected ':', ',' or the end, found "\x00"`},
		{"a long rest", strings.Repeat("?", 99), `gtid set: position 1: expected a hexadecimal digit of a uuid, found "` + strings.Repeat("?", 80) + `..."`},
		{"a second element", idA + ":1,\n " + idB + ":x", `gtid set: position 80: expected ':' and a transaction number after the tag, found the end`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s, err := Parse(row.text)
			if err == nil {
				t.Fatalf("accepted as %q", s)
			}
			mustAnswer(t, "error", err.Error(), row.want)
			mustAnswer(t, "set beside an error", s.IsEmpty(), true)
		})
	}
}

func TestSmallSetsDoNotHoldOnToLargeTexts(t *testing.T) {
	text := idA + ":tag:1" + strings.Repeat(",", 1<<10)
	tag := MustParse(text).streams[0].source.Tag
	start, at := uintptr(unsafe.Pointer(unsafe.StringData(text))), uintptr(unsafe.Pointer(unsafe.StringData(tag)))
	if at >= start && at < start+uintptr(len(text)) {
		t.Fatal("the tag is a piece of the text")
	}
}

func TestSingleGTIDs(t *testing.T) {
	for text, want := range map[string]GTID{
		idA + ":7":            {source(idA, "").UUID, "", 7},
		" " + idA + ":Tag:9 ": {source(idA, "").UUID, "tag", 9},
	} {
		got, err := ParseGTID(text)
		if err != nil || got != want {
			t.Fatalf("%q: got %v, %v", text, got, err)
		}
		back, err := ParseGTID(got.String())
		if err != nil || back != got {
			t.Fatalf("%q: reads back as %v, %v", got, back, err)
		}
	}
}

func TestWhatIsNotASingleGTIDIsRefused(t *testing.T) {
	rows := []struct{ text, want string }{
		{"", `gtid: position 1: expected a hexadecimal digit of a uuid, found the end`},
		{idA, `gtid: position 37: expected ':' and a transaction number, found the end`},
		{idA + ":1," + idA + ":1", `gtid: position 39: expected the end, found ",11111111-1111-1111-1111-111111111111:1"`},
		{idA + ":1-2", `gtid "` + idA + `:1-2": expected a single transaction, found several`},
		{idA + ":1-1", `gtid "` + idA + `:1-1": expected a single transaction, found several`},
		{idA + ":1:1", `gtid "` + idA + `:1:1": expected a single transaction, found several`},
		{idA + ":1:a:1", `gtid "` + idA + `:1:a:1": expected a single transaction, found several`},
	}
	for _, row := range rows {
		_, err := ParseGTID(row.text)
		if err == nil {
			t.Fatalf("%q was accepted", row.text)
		}
		mustAnswer(t, row.text, err.Error(), row.want)
	}
}

func TestUUIDsAreReadInTheFormsThatServersAccept(t *testing.T) {
	const want = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	for _, text := range []string{want, strings.ToUpper(want), strings.ReplaceAll(want, "-", ""), "{" + want + "}"} {
		u, err := ParseUUID(text)
		if err != nil {
			t.Fatal(err)
		}
		mustAnswer(t, text, u.String(), want)
	}
}

func TestWhatIsNotAUUIDIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      `uuid "": position 1: expected a hexadecimal digit, found the end`,
		"3e11fa47-71ca-11e1-9e33-c80aa942956x":  `uuid "3e11fa47-71ca-11e1-9e33-c80aa942956x": position 36: expected a hexadecimal digit, found "x"`,
		"3e11fa47-71ca-11e1-9e33-c80aa94295621": `uuid "3e11fa47-71ca-11e1-9e33-c80aa94295621": position 37: expected the end, found "1"`,
		"3e11fa47-71ca011e1-9e33-c80aa9429562":  `uuid "3e11fa47-71ca011e1-9e33-c80aa9429562": position 14: expected '-', found "011e1-9e33-c80aa9429562"`,
	} {
		_, err := ParseUUID(text)
		if err == nil {
			t.Fatalf("%q was accepted", text)
		}
		mustAnswer(t, text, err.Error(), want)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", ",", idA + ":1-5:7,\n" + idB + ":tag:1-3", idA + ":9:B:2:1:a:4", " " + idA + " : 1 - 5 , ,", idA + ":7-3",
		idA + ":9223372036854775806", idA + ":18446744073709551617", idA + ":a:b:1", idA + ":010", "{" + idA + "}:1", strings.Repeat("a", 32) + ":1", strings.ToUpper("abcdef" + idA[6:] + ":t:1"),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "gtid set: position ") || !s.IsEmpty() {
				t.Fatalf("%q: %v beside %q", text, err, s)
			}
			return
		}
		mustBeCanonical(t, s)
		back, err := Parse(s.String())
		if err != nil || !back.Equal(s) {
			t.Fatalf("%q printed as %q, which reads as %q, %v", text, s, back, err)
		}
		mustAgreeOrBeRefused(t, text, s)
	})
}
