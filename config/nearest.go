package config

import "strings"

// Nearest finds the word that was probably meant: the one with the fewest letters to change, if those are few for its
// length. Case, hyphens and underscores do not count, so probeInterval finds probe_interval.
func Nearest(word string, known []string) (string, bool) {
	best, fewest := "", len(word)
	for _, k := range known {
		if d := distance(bare(word), bare(k)); d < fewest {
			best, fewest = k, d
		}
	}
	return best, best != "" && fewest <= (len(word)+2)/3
}

func bare(word string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(word))
}

// distance counts the letters to insert, remove, replace or swap with their neighbour.
func distance(a, b string) int {
	var before []int
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above = above, row
	}
	return above[len(b)]
}
