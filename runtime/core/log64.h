/* The natural logarithm in float64, equal to the last bit on every processor. */
#ifndef TEXTGEN_LOG64_H
#define TEXTGEN_LOG64_H

#define TEXTGEN_LN2 0.69314718055994530942

/* Return log(x). x is finite and more than 0. The error is less than 1 ulp. */
double textgen_log64(double x);

#endif
