/** Turns a Zod validation issue into a sentence for people, if its schema has no message of its own. */
import type { z } from 'zod';

const TYPES: Record<string, string> = {
  string: 'text',
  number: 'a whole number',
  int: 'a whole number',
  array: 'a list',
  object: 'an object',
};

/** For `safeParse(value, { error: describeZodIssue })`. The text continues after the name of the field. */
export function describeZodIssue(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'too_small':
      return `must ${describeSize('at least', issue.minimum, issue.origin)}`;
    case 'too_big':
      return `must ${describeSize('at most', issue.maximum, issue.origin)}`;
    default:
      return 'is not valid';
  }
}

function describeSize(bound: string, limit: number | bigint, origin: string): string {
  if (origin === 'string') return `have ${bound} ${limit} characters`;
  return origin === 'array' ? `have ${bound} ${limit} items` : `be ${bound} ${limit}`;
}
