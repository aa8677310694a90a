export { answersOf, contextWith, fileSubject, processSubject, silent } from '../../testkit/index.ts';
