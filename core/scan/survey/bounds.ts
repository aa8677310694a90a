import { CodedError } from '../../../protocol/index.ts';
import { MOST_INODES } from '../../control/never-touch.ts';

/**
 * How much the survey of one guest takes in. A distribution needs some hundredth of it; only root in the guest can
 * bring it to any of these bounds. Then what is protected is not known, and nothing is done to files of the guest.
 */
export const SURVEY = {
  /** Entries of all directories and trees, those that are not kept too. */
  entries: 1_000_000,
  depth: 64,
  seconds: 60,
  /** Directories that are remembered, and the names in them. */
  directories: 4096,
  names: 131_072,
  /** Protected files. */
  inodes: MOST_INODES,
  /** Programs and libraries whose needs are read, and how far a need can lead to another. */
  programs: 8192,
  rounds: 64,
  /** Different libraries that they name, and directories where those are looked for. */
  libraries: 4096,
  searched: 1024,
} as const;

/** A survey ends, for what is protected is more than can be known. It never leaves the survey. */
export class SurveyError extends CodedError<'past-bound'> {}

export const pastBound = (bound: keyof typeof SURVEY): SurveyError =>
  new SurveyError('past-bound', `what is protected in this guest is more than can be known (${bound})`);
