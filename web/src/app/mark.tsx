/** Halley's mark: a comet. */
export function Mark({ className }: { className?: string }) {
  return (
    <svg aria-hidden viewBox="0 0 32 32" className={className}>
      <rect width="32" height="32" rx="7" className="fill-accent-fill" />
      <circle cx="20.5" cy="11.5" r="5" fill="#fff" />
      <path
        d="M17 15.2 5.5 26.5M14 12 7 18.6M20.2 18.2 13.4 25"
        fill="none"
        stroke="#fff"
        strokeLinecap="round"
        strokeWidth="2.4"
      />
    </svg>
  );
}
