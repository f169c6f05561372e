#include "count.h"

int main(int argc, char **argv)
{
	struct counts n;
	FILE *in = stdin;

	if (argc > 2) {
		fprintf(stderr, "usage: linecount [file]\n");
		return 2;
	}
	if (argc == 2 && (in = fopen(argv[1], "r")) == NULL) {
		perror(argv[1]);
		return 1;
	}
	if (count_stream(in, &n) != 0) {
		perror("read");
		return 1;
	}
	printf("%ld lines, %ld blank\n", n.lines, n.blank);
	return 0;
}
