#ifndef COUNT_H
#define COUNT_H
#include <stdio.h>

struct counts {
	long lines;
	long blank;
};

int count_stream(FILE *in, struct counts *out);

#endif
