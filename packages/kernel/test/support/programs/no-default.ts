export const program = 'not exported by default';
