#include "count.h"

/* Count lines and blank lines. Returns 0, or -1 on a read error. */
int count_stream(FILE *in, struct counts *out)
{
	int c, blank = 1, open = 0;

	out->lines = out->blank = 0;
	while ((c = getc(in)) != EOF) {
		open = 1;
		if (c == '\n') {
			out->lines++;
			out->blank += blank;
			blank = 1;
			open = 0;
		} else if (c != ' ' && c != '\t') {
			blank = 0;
		}
	}
	if (open) {
		out->lines++;
		out->blank += blank;
	}
	return ferror(in) ? -1 : 0;
}
