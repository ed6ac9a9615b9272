/* SPDX-License-Identifier: MIT */
#include "rules/http_date.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/ascii.h"

struct date {
  int year, month, day, hour, minute, second; /* month: 0 to 11 */
};

static const char *const days[] = {"Sun", "Mon", "Tue", "Wed",
                                   "Thu", "Fri", "Sat", NULL};
static const char *const long_days[] = {"Sunday",    "Monday",   "Tuesday",
                                        "Wednesday", "Thursday", "Friday",
                                        "Saturday",  NULL};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May",
                                     "Jun", "Jul", "Aug", "Sep", "Oct",
                                     "Nov", "Dec", NULL};

/* Each of these moves *at behind what it has read and returns 1, or 0. */
static int word(const char **at, const char *const *words, int *index) {
  for (int i = 0; words[i]; i++) {
    size_t size = strlen(words[i]);

    if (strncmp(*at, words[i], size) == 0) {
      *at += size;
      *index = i;
      return 1;
    }
  }
  return 0;
}

static int literal(const char **at, const char *text) {
  size_t size = strlen(text);

  if (strncmp(*at, text, size) != 0) {
    return 0;
  }
  *at += size;
  return 1;
}

static int digits(const char **at, int count, int *value) {
  *value = 0;
  for (int i = 0; i < count; i++) {
    if (!fy_is_digit(**at)) {
      return 0;
    }
    *value = *value * 10 + (*(*at)++ - '0');
  }
  return 1;
}

static int time_of_day(const char **at, struct date *date) {
  return digits(at, 2, &date->hour) && literal(at, ":") &&
         digits(at, 2, &date->minute) && literal(at, ":") &&
         digits(at, 2, &date->second);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static int imf_fixdate(const char *at, struct date *date) {
  int day;

  return word(&at, days, &day) && literal(&at, ", ") &&
         digits(&at, 2, &date->day) && literal(&at, " ") &&
         word(&at, months, &date->month) && literal(&at, " ") &&
         digits(&at, 4, &date->year) && literal(&at, " ") &&
         time_of_day(&at, date) && literal(&at, " GMT") && !*at;
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static int rfc850_date(const char *at, struct date *date) {
  int day;

  return word(&at, long_days, &day) && literal(&at, ", ") &&
         digits(&at, 2, &date->day) && literal(&at, "-") &&
         word(&at, months, &date->month) && literal(&at, "-") &&
         digits(&at, 2, &date->year) && literal(&at, " ") &&
         time_of_day(&at, date) && literal(&at, " GMT") && !*at;
}

/* Sun Nov  6 08:49:37 1994 */
static int asctime_date(const char *at, struct date *date) {
  int day;

  return word(&at, days, &day) && literal(&at, " ") &&
         word(&at, months, &date->month) && literal(&at, " ") &&
         digits(&at, *at == ' ' ? (at++, 1) : 2, &date->day) &&
         literal(&at, " ") && time_of_day(&at, date) && literal(&at, " ") &&
         digits(&at, 4, &date->year) && !*at;
}

static int is_leap(int year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_length(int year, int month) {
  static const int lengths[] = {31, 28, 31, 30, 31, 30,
                                31, 31, 30, 31, 30, 31};

  return lengths[month] + (month == 1 && is_leap(year));
}

/* A leap second is allowed. */
static int is_valid(const struct date *date) {
  return date->day >= 1 &&
         date->day <= month_length(date->year, date->month) &&
         date->hour < 24 && date->minute < 60 && date->second <= 60;
}

static double to_seconds(const struct date *date) {
  int before = date->year - 1;
  long day = 365L * date->year + before / 4 - before / 100 + before / 400;

  for (int month = 0; month < date->month; month++) {
    day += month_length(date->year, month);
  }
  day += date->day - 1 - 719527L; /* days before 1970 */
  return (double)day * 86400 + date->hour * 3600 + date->minute * 60 +
         date->second;
}

/* RFC 9110 5.6.7: what looks more than 50 years ahead is in the past. */
static int full_year(int two_digits, double now) {
  int this_year = 1970 + (int)(now / 31556952);
  int year = this_year - this_year % 100 + two_digits;

  if (year > this_year + 50) {
    return year - 100;
  }
  return year <= this_year - 50 ? year + 100 : year;
}

double fy_http_date(const char *text, double now) {
  struct date date;

  if (!text) {
    return NAN;
  }
  if (!imf_fixdate(text, &date)) {
    if (rfc850_date(text, &date)) {
      date.year = full_year(date.year, now);
    } else if (!asctime_date(text, &date)) {
      return NAN;
    }
  }
  return date.year >= 1 && is_valid(&date) ? to_seconds(&date) : NAN;
}
